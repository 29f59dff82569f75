/* io/plugin.h: libraries with a long tail of their own (cairo, libcurl) sit in small plugins that are opened on first
 * use.
 *
 *     const void *table;
 *     GEN_TRY(gen_plugin_open("gen_plot", GEN_PLOT_PLUGIN_VERSION, "drawing plots (cairo)", &table, err));
 *     const gen_plot_plugin_table *plot = table;
 */
#ifndef GEN_IO_PLUGIN_H
#define GEN_IO_PLUGIN_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The symbol <name>_plugin of lib<name>.so, whose first member is a uint32_t version. Looked for in $GEN_PLUGINS,
 * beside the program, beside the library, <those>/../lib/gen, and the folder given at compile time. It stays open.
 * GEN_NO_DEVICE with one sentence when absent. */
gen_status gen_plugin_open(const char *name, uint32_t version, const char *purpose, const void **out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
