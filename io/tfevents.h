/* io/tfevents.h: TensorBoard event files: records (length, CRC, data, CRC) that each hold one Event message. Format:
 * tensorboard's tensorflow/core/util/event.proto and summary.proto, record framing of lib/io/record_writer; protocol
 * buffers are written by hand.
 *
 *     gen_tfevents *events;
 *     GEN_TRY(gen_tfevents_open("runs/x/events.out.tfevents.1700000000.gen", now_s, &events, err));
 *     GEN_TRY(gen_tfevents_scalar(events, step, now_s, "train/loss", 103.2, err));
 *     GEN_TRY(gen_tfevents_image(events, step, now_s, "samples", 226, 226, 1, &png, err));
 *     gen_tfevents_close(events);
 */
#ifndef GEN_IO_TFEVENTS_H
#define GEN_IO_TFEVENTS_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens for appending; a new file gets the version event. A file that a kill may have left with a cut record is cut
 * first, at gen_tfevents_offset_after. Times are seconds since 1970. */
typedef struct gen_tfevents gen_tfevents;
gen_status gen_tfevents_open(const char *path, double wall_time_s, gen_tfevents **out, gen_error *err);
gen_status gen_tfevents_scalar(gen_tfevents *events, int64_t step, double wall_time_s, const char *tag, double value,
                               gen_error *err);
gen_status gen_tfevents_image(gen_tfevents *events, int64_t step, double wall_time_s, const char *tag,
                              int32_t height_px, int32_t width_px, int32_t channels, const gen_bytes *png,
                              gen_error *err);
gen_status gen_tfevents_sync(gen_tfevents *events, gen_error *err);
void gen_tfevents_close(gen_tfevents *events); /* accepts NULL */

/* One value of an event as read. Events without values come once, with tag "". */
typedef struct gen_tfevent {
    size_t offset; /* of its record in the file */
    double wall_time_s;
    int64_t step;
    const char *file_version; /* "brain.Event:2" or NULL */
    const char *tag;
    int has_value; /* a scalar: simple_value, or a float tensor of one element as newer writers use */
    double value;
    int32_t height_px, width_px, channels; /* an image, else 0 */
    gen_bytes png;                         /* in the bytes read */
} gen_tfevent;

/* Calls visit for every value; a return other than 0 ends the reading. Strings are valid during the call. Stops at a
 * record that is cut short, as a killed writer leaves it: valid_bytes (may be NULL) says where. GEN_BAD_FILE for wrong
 * checksums and messages. */
typedef int (*gen_tfevent_fn)(void *context, const gen_tfevent *event);
gen_status gen_tfevents_read(const void *data, size_t size, gen_tfevent_fn visit, void *context, size_t *valid_bytes,
                             gen_error *err);

/* Where to cut the file so that it holds events up to step: the offset of the first event with a larger one, or the end
 * of the last whole record. */
gen_status gen_tfevents_offset_after(const void *data, size_t size, int64_t step, size_t *offset, gen_error *err);

/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), as records use it before masking. */
uint32_t gen_crc32c(const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
