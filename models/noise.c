#include "models/noise.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846, most_beta = 0.999; /* Nichol & Dhariwal 2021, section 3.2 */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* alpha^2 of the process in continuous time u in [0,1] */
static double alpha2_cosine(double u)
{
    double c = cos((u + 0.008) / 1.008 * pi / 2);
    return c * c;
}

static double alpha2_sigmoid(double u)
{
    const double start = sigmoid(-3), end = sigmoid(3);
    return (end - sigmoid(6 * u - 3)) / (end - start);
}

/* The part of the variance that step i replaces by noise. */
static double beta_of(const char *kind, int64_t i, int64_t times)
{
    double n = (double)times, scale = 1000 / n; /* the same noise in all for any number of steps */
    if (!strcmp(kind, "linear"))
        return scale * (1e-4 + (0.02 - 1e-4) * (double)i / (double)(times > 1 ? times - 1 : 1));
    double (*alpha2)(double) = strcmp(kind, "cosine") ? alpha2_sigmoid : alpha2_cosine;
    return 1 - alpha2((double)(i + 1) / n) / alpha2((double)i / n);
}

void gen_noise_fill(const char *kind, int64_t times, double *sigma)
{
    double alpha2 = 1;
    for (int64_t i = 0; i < times; i++) {
        double beta = beta_of(kind, i, times);
        alpha2 *= 1 - (beta < most_beta ? beta : most_beta);
        sigma[i] = sqrt((1 - alpha2) / alpha2);
    }
}

double gen_noise_time(const gen_noise *noise, double sigma)
{
    int64_t low = 0, high = noise->times - 1;
    if (high <= 0 || sigma <= noise->sigma[0]) return 0;
    if (sigma >= noise->sigma[high]) return (double)high;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (noise->sigma[middle] <= sigma) low = middle;
        else high = middle;
    }
    double a = log(noise->sigma[low]), b = log(noise->sigma[high]);
    return (double)low + (log(sigma) - a) / (b - a);
}
