/* gen eval of models of tokens: --pieces n composes and measures, --baseline kneser-ney counts. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "models/data.h"
#include "models/data_tokens.h"
#include "models/kneser_ney.h"
#include "models/music_measure.h"
#include "tools/cli/cmd_compose.h"

/* ---- pieces -------------------------------------------------------------------------------------------------------------------- */

/* What a piece must be (issue "music"): most of it in one key, of several durations, no figure without end, nothing long copied. */
static const double least_in_key = 0.85;
enum { LEAST_DURATIONS = 4, MOST_REPEATS = 4 };

/* The figures of the training pieces, in the ticks of pieces that are made. */
static gen_status know_figures(const cli_args *a, const gen_run *run, gen_figures *known, gen_error *err)
{
    gen_corpus corpus;
    GEN_TRY(gen_corpus_open(&run->settings, false, a->arena, &corpus, err));
    for (int64_t i = 0; i < corpus.n; i++) {
        const gen_piece *p = &corpus.piece[i];
        gen_midi_note *notes;
        size_t n;
        if (p->split != GEN_SPLIT_TRAIN) continue;
        GEN_TRY(
            gen_tokens_notes(&run->vocabulary, p->stream.token, p->stream.n, a->o.tempo, a->arena, &notes, &n, err));
        GEN_TRY(gen_figures_add(known, notes, n, err));
    }
    gen_figures_sort(known);
    return GEN_OK;
}

typedef struct piece_sums {
    double in_key, notes, least_key;
    int32_t durations, repeats; /* the fewest; the most */
    int64_t copied, good;
} piece_sums;

static void add_piece(piece_sums *s, const gen_measure *m)
{
    s->in_key += m->in_key;
    s->notes += (double)m->n_notes;
    s->least_key = m->in_key < s->least_key ? m->in_key : s->least_key;
    s->durations = m->durations < s->durations ? m->durations : s->durations;
    s->repeats = m->repeats > s->repeats ? m->repeats : s->repeats;
    s->copied += m->copied;
    s->good += m->in_key >= least_in_key && m->durations >= LEAST_DURATIONS && m->repeats <= MOST_REPEATS && !m->copied;
}

static gen_status compose_pieces(const cli_args *a, gen_composer *composer, gen_run *run, const gen_figures *known,
                                 piece_sums *s, gen_error *err)
{
    gen_composition how = cli_composition(a, run);
    uint64_t first = how.seed;
    for (int64_t i = 0; i < a->o.pieces; i++) {
        gen_midi_note *notes;
        size_t n;
        how.seed = first + (uint64_t)i;
        GEN_TRY(cli_compose_notes(a, composer, run, &how, &notes, &n, err));
        gen_measure m = gen_measure_notes(notes, n, known);
        add_piece(s, &m);
        if (!a->o.json)
            printf("  seed %-4" PRIu64
                   " %4zu notes  %-2s %s  in key %.3f  durations %2d  figure in a row %d  copied %" PRId64 "\n",
                   how.seed, n, gen_pitch_class_name(m.key.tonic), m.key.minor ? "minor" : "major", m.in_key,
                   m.durations, m.repeats, m.copied);
    }
    return GEN_OK;
}

gen_status cli_eval_compositions(const cli_args *a, gen_run *run, cli_numbers *numbers, gen_error *err)
{
    gen_composer *composer = NULL;
    gen_figures *known = NULL;
    piece_sums s = { .least_key = 1, .durations = INT32_MAX };
    if (run->settings.model->tokens != GEN_TOKENS_MUSIC)
        return gen_fail(err, GEN_BAD_OPTION, "--pieces is of models of music, %s is of %s", run->folder,
                        run->settings.model->name);
    gen_status status = gen_figures_new(&known, err);
    if (status == GEN_OK) status = know_figures(a, run, known, err);
    if (status == GEN_OK) status = gen_composer_new(run, &composer, err);
    if (status == GEN_OK) status = cli_load_weights(a, run, err);
    if (status == GEN_OK) status = compose_pieces(a, composer, run, known, &s, err);
    gen_composer_free(composer);
    gen_figures_free(known);
    double n = (double)a->o.pieces;
    cli_add_number(numbers, "pieces", n);
    cli_add_number(numbers, "good_pieces", (double)s.good);
    cli_add_number(numbers, "notes", s.notes / n);
    cli_add_number(numbers, "in_key", s.in_key / n);
    cli_add_number(numbers, "least_in_key", s.least_key);
    cli_add_number(numbers, "least_durations", s.durations);
    cli_add_number(numbers, "most_repeats", s.repeats);
    cli_add_number(numbers, "copied_figures", (double)s.copied);
    return status;
}

/* ---- counting -------------------------------------------------------------------------------------------------------------------- */

/* The tokens of a piece as one number each: both fields together. */
static int64_t *joint_words(const cli_args *a, const gen_vocabulary *v, const gen_stream *s)
{
    int64_t *word = gen_arena_alloc(a->arena, (size_t)(s->n + 1) * sizeof *word);
    for (int64_t i = 0; word && i < s->n; i++) {
        const int32_t *token = s->token + i * v->n_fields;
        word[i] = v->n_fields > 1 ? token[0] * v->n_words[1] + token[1] : token[0];
    }
    return word;
}

static gen_status count_pieces(const cli_args *a, const gen_corpus *corpus, gen_split measured, gen_kneser_ney *k,
                               double *nats, int64_t *count, gen_error *err)
{
    const gen_vocabulary *v = &corpus->vocabulary;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < corpus->n; i++) {
            const gen_piece *p = &corpus->piece[i];
            if (p->split != (pass ? measured : GEN_SPLIT_TRAIN)) continue;
            int64_t *word = joint_words(a, v, &p->stream);
            if (!word) return gen_fail(err, GEN_NO_MEMORY, "no memory for counts");
            if (!pass) GEN_TRY(gen_kneser_ney_add(k, word, p->stream.n, err));
            else *nats += gen_kneser_ney_nats(k, word, p->stream.n);
            if (pass) *count += p->stream.n + 1;
        }
        if (!pass) GEN_TRY(gen_kneser_ney_fit(k, err));
    }
    return GEN_OK;
}

gen_status cli_eval_baseline(const cli_args *a, gen_run *run, gen_split split, cli_numbers *numbers, gen_error *err)
{
    gen_corpus corpus;
    gen_kneser_ney *k = NULL;
    double nats = 0;
    int64_t count = 0;
    if (!run->settings.model->tokens)
        return gen_fail(err, GEN_BAD_OPTION, "--baseline is of models of tokens, %s is of %s", run->folder,
                        run->settings.model->name);
    GEN_TRY(gen_corpus_open(&run->settings, true, a->arena, &corpus, err));
    const gen_vocabulary *v = &corpus.vocabulary;
    GEN_TRY(gen_kneser_ney_new(v->n_fields > 1 ? v->n_words[0] * v->n_words[1] : v->n_words[0], &k, err));
    gen_status status = count_pieces(a, &corpus, split, k, &nats, &count, err);
    gen_kneser_ney_free(k);
    if (count) cli_add_number(numbers, "kneser_ney", nats / (double)count);
    return status;
}
