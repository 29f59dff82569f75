/* Colours: covariances of three channels, and their roots by Jacobi rotations. */
#include "models/style_colour.h"

#include <math.h>
#include <string.h>

static float clamp01(double v)
{
    return (float)(v < 0 ? 0 : v > 1 ? 1 : v);
}

/* ---- mean and covariance ------------------------------------------------------------------------------------------------------- */

typedef struct colours {
    double mean[3], cov[3][3];
} colours;

static colours measure(const float *rgb, int64_t n)
{
    colours c = { 0 };
    for (int64_t i = 0; i < 3 * n; i++) c.mean[i % 3] += (double)rgb[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++)
                c.cov[j][k] += ((double)rgb[3 * i + j] - c.mean[j]) * ((double)rgb[3 * i + k] - c.mean[k]) / (double)n;
    for (int j = 0; j < 3; j++) c.cov[j][j] += 1e-5; /* a grey picture has no colours to turn */
    return c;
}

/* One rotation that makes a[p][q] zero; v collects them, so that a = v diag v^T in the end (Golub & Van Loan, section 8.5). */
static void rotate(double a[3][3], double v[3][3], int p, int q)
{
    if (fabs(a[p][q]) < 1e-18) return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double x = a[k][p], y = a[k][q];
        a[k][p] = c * x - s * y, a[k][q] = s * x + c * y;
    }
    for (int k = 0; k < 3; k++) {
        double x = a[p][k], y = a[q][k], z = v[k][p], w = v[k][q];
        a[p][k] = c * x - s * y, a[q][k] = s * x + c * y;
        v[k][p] = c * z - s * w, v[k][q] = s * z + c * w;
    }
}

/* a^power, symmetric and positive */
static void power_of(double from[3][3], double power, double out[3][3])
{
    double a[3][3], v[3][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } };
    memcpy(a, from, sizeof a);
    for (int sweep = 0; sweep < 12; sweep++) rotate(a, v, 0, 1), rotate(a, v, 0, 2), rotate(a, v, 1, 2);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            out[i][j] = 0;
            for (int k = 0; k < 3; k++) out[i][j] += v[i][k] * pow(fmax(a[k][k], 1e-12), power) * v[j][k];
        }
}

void gen_colour_match(float *rgb, int64_t n, const float *like, int64_t m)
{
    colours from = measure(rgb, n), to = measure(like, m);
    double whiten[3][3], colour[3][3];
    power_of(from.cov, -0.5, whiten);
    power_of(to.cov, 0.5, colour);
    for (int64_t i = 0; i < n; i++) {
        double white[3] = { 0 };
        float *x = rgb + 3 * i;
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++) white[j] += whiten[j][k] * ((double)x[k] - from.mean[k]);
        for (int j = 0; j < 3; j++) {
            double value = to.mean[j];
            for (int k = 0; k < 3; k++) value += colour[j][k] * white[k];
            x[j] = clamp01(value);
        }
    }
}

/* ---- histograms -------------------------------------------------------------------------------------------------------------------- */

enum { BINS = 1024 };

/* share[i]: part of the values of a channel in bins 0..i */
static void cumulate(const float *rgb, int64_t n, int channel, double share[BINS])
{
    memset(share, 0, BINS * sizeof *share);
    for (int64_t i = 0; i < n; i++)
        share[(int)(clamp01((double)rgb[3 * i + channel]) * (BINS - 1) + 0.5f)] += 1 / (double)n;
    for (int i = 1; i < BINS; i++) share[i] += share[i - 1];
}

void gen_colour_histogram(float *rgb, int64_t n, const float *like, int64_t m)
{
    double from[BINS], to[BINS];
    float becomes[BINS];
    for (int channel = 0; channel < 3; channel++) {
        cumulate(rgb, n, channel, from);
        cumulate(like, m, channel, to);
        for (int i = 0, j = 0; i < BINS; i++) {
            double middle = i ? (from[i] + from[i - 1]) / 2 : from[i] / 2; /* the value in the middle of the bin's */
            while (j + 1 < BINS && to[j] < middle) j++;
            becomes[i] = (float)j / (BINS - 1);
        }
        for (int64_t i = 0; i < n; i++) {
            float *x = rgb + 3 * i + channel;
            *x = becomes[(int)(clamp01((double)*x) * (BINS - 1) + 0.5f)];
        }
    }
}

/* ---- brightness ------------------------------------------------------------------------------------------------------------------- */

static double luma(const float *x)
{
    return 0.299 * (double)x[0] + 0.587 * (double)x[1] + 0.114 * (double)x[2];
}

/* With R - Y and B - Y given, G - Y is given too: adding the difference of Y to all three channels keeps Cb and Cr. */
void gen_colour_keep(float *rgb, const float *colour, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double brighter = luma(rgb + 3 * i) - luma(colour + 3 * i);
        for (int k = 0; k < 3; k++) rgb[3 * i + k] = clamp01((double)colour[3 * i + k] + brighter);
    }
}
