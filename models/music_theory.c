/* The key of a piece. C. L. Krumhansl, "Cognitive Foundations of Musical Pitch", 1990, chapter 4: the weights of the twelve
 * pitch classes are compared with what listeners found to fit into each of the 24 keys (Krumhansl & Kessler 1982, "Tracing
 * the dynamic changes in perceived tonal organization"); the best correlation names the key. */
#include "models/music_theory.h"

#include <math.h>

static const double profiles[2][12] = {
    { 6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88 }, /* major, from the tonic up */
    { 6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17 }, /* minor */
};

static double mean(const double x[12])
{
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += x[i];
    return sum / 12;
}

/* Pearson's, of weight turned so that the tonic comes first. */
static double correlation(const double weight[12], const double profile[12], int tonic)
{
    double xy = 0, xx = 0, yy = 0, mean_x = mean(weight), mean_y = mean(profile);
    for (int i = 0; i < 12; i++) {
        double x = weight[(i + tonic) % 12] - mean_x, y = profile[i] - mean_y;
        xy += x * y, xx += x * x, yy += y * y;
    }
    return xx > 0 ? xy / sqrt(xx * yy) : 0;
}

gen_key gen_find_key(const double weight[12])
{
    gen_key best = { 0, 0, 0 };
    for (int32_t minor = 0; minor < 2; minor++) {
        for (int32_t tonic = 0; tonic < 12; tonic++) {
            double r = correlation(weight, profiles[minor], tonic);
            if (r > best.correlation) best = (gen_key){ tonic, minor, r };
        }
    }
    return best;
}

const char *gen_pitch_class_name(int32_t pitch_class)
{
    static const char *const names[] = { "C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B" };
    return pitch_class >= 0 && pitch_class < 12 ? names[pitch_class] : "?";
}
