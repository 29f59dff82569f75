/* The processor as a device: a plan is a list of calls, each walked in phases, each phase cut in parts for the pool. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/cpu/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/thread.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tune.h"

enum { MAX_THREADS = 1024, LINE = 64 };

typedef struct cpu_device {
    gen_device device; /* first: a gen_device of ours is a cpu_device */
    gen_pool *pool;
    cpu_isa isa;
    bool ref64;
    cpu_tuning *tuning; /* NULL: kernels are chosen by what they should cost */
    char name[64];
} cpu_device;

typedef struct cpu_step {
    const gen_call *call;
    const cpu_kernel *kernel;
    cpu_work work;
    void *keep;
    double seconds;
} cpu_step;

struct gen_exec {
    gen_pool *pool;
    cpu_step *steps;
    int32_t n_steps;
    bool prepared, profiling;
    char *shared, *scratch;
    size_t shared_bytes, thread_bytes; /* the largest of any call; thread_bytes in whole cache lines */
};

/* ---- memory ---- */

static void *cpu_alloc(gen_device *device, size_t bytes)
{
    (void)device;
    return gen_alloc(1, bytes);
}

static void cpu_free(gen_device *device, void *memory)
{
    (void)device;
    gen_free(memory);
}

static gen_status upload(gen_device *device, void *to, const float *from, size_t count, gen_error *err)
{
    (void)device, (void)err;
    memcpy(to, from, count * sizeof *from);
    return GEN_OK;
}

static gen_status download(gen_device *device, float *to, const void *from, size_t count, gen_error *err)
{
    (void)device, (void)err;
    memcpy(to, from, count * sizeof *to);
    return GEN_OK;
}

static gen_status upload64(gen_device *device, void *to, const float *from, size_t count, gen_error *err)
{
    (void)device, (void)err;
    for (size_t i = 0; i < count; i++) ((double *)to)[i] = (double)from[i];
    return GEN_OK;
}

static gen_status download64(gen_device *device, float *to, const void *from, size_t count, gen_error *err)
{
    (void)device, (void)err;
    for (size_t i = 0; i < count; i++) to[i] = (float)((const double *)from)[i];
    return GEN_OK;
}

/* ---- compile ---- */

static size_t whole_lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void exec_free(gen_exec *exec)
{
    if (!exec) return;
    for (int32_t i = 0; exec->steps && i < exec->n_steps; i++) gen_free(exec->steps[i].keep);
    gen_free(exec->steps);
    gen_free(exec->shared);
    gen_free(exec->scratch);
    gen_free(exec);
}

/* Cut how, with how much memory: from shapes alone. */
static void set_up(const gen_call *call, const cpu_kernel *kernel, int32_t way, cpu_step *step)
{
    step->call = call;
    step->kernel = kernel;
    step->work.n_phases = 1;
    step->work.way = way;
    for (int32_t phase = 0; phase < CPU_MAX_PHASES; phase++) step->work.parts[phase] = 1;
    if (kernel->setup) kernel->setup(call, &step->work);
}

static gen_status choose_kernel(const cpu_device *cpu, const gen_call *call, cpu_step *step, gen_error *err)
{
    int32_t way = 0;
    const cpu_kernel *kernel = cpu->ref64 ? cpu_kernel_ref64(call->op) : cpu_kernel_find(call, cpu->isa);
    if (!kernel)
        return gen_fail(err, GEN_UNSUPPORTED, "%s: the cpu has no kernel for %s", call->name ? call->name : "a call",
                        gen_op_get(call->op)->name);
    if (cpu->tuning) cpu_tuning_find(cpu->tuning, call, cpu->isa, &kernel, &way);
    set_up(call, kernel, way, step);
    return GEN_OK;
}

static gen_status keep_memory(cpu_step *step, gen_error *err)
{
    if (!step->work.keep_bytes) return GEN_OK;
    step->keep = gen_alloc(1, step->work.keep_bytes);
    return step->keep ? GEN_OK
                      : gen_fail(err, GEN_NO_MEMORY, "%zu bytes for %s", step->work.keep_bytes, step->kernel->name);
}

/* kernel NULL: the best for each call. */
static gen_status compile_steps(const cpu_device *cpu, const gen_call *calls, const cpu_kernel *kernel, int32_t way,
                                gen_exec *exec, gen_error *err)
{
    for (int32_t i = 0; i < exec->n_steps; i++) {
        cpu_step *step = &exec->steps[i];
        if (kernel) set_up(&calls[i], kernel, way, step);
        else GEN_TRY(choose_kernel(cpu, &calls[i], step, err));
        GEN_TRY(keep_memory(step, err));
        exec->shared_bytes = larger(exec->shared_bytes, step->work.shared_bytes);
        exec->thread_bytes = larger(exec->thread_bytes, whole_lines(step->work.thread_bytes));
    }
    size_t n_threads = (size_t)gen_pool_threads(cpu->pool);
    exec->shared = gen_alloc(1, exec->shared_bytes);
    exec->scratch = gen_alloc(n_threads, exec->thread_bytes);
    if (exec->shared && exec->scratch) return GEN_OK;
    return gen_fail(err, GEN_NO_MEMORY, "%zu bytes of scratch, and %zu for each of %zu threads", exec->shared_bytes,
                    exec->thread_bytes, n_threads);
}

static gen_status compile_on(const cpu_device *cpu, const gen_call *calls, int32_t n_calls, const cpu_kernel *kernel,
                             int32_t way, gen_exec **result, gen_error *err)
{
    gen_exec *exec = gen_alloc(1, sizeof *exec);
    if (!exec) return gen_fail(err, GEN_NO_MEMORY, "a plan of %d calls", n_calls);
    exec->pool = cpu->pool;
    exec->n_steps = n_calls;
    exec->steps = gen_alloc((size_t)n_calls, sizeof *exec->steps);
    gen_status status = exec->steps ? compile_steps(cpu, calls, kernel, way, exec, err)
                                    : gen_fail(err, GEN_NO_MEMORY, "a plan of %d calls", n_calls);
    if (status) exec_free(exec);
    else *result = exec;
    return status;
}

static gen_status compile(gen_device *device, const gen_call *calls, int32_t n_calls, gen_exec **exec, gen_error *err)
{
    cpu_device *cpu = (cpu_device *)device;
    for (int32_t i = 0; cpu->tuning && i < n_calls; i++)
        GEN_TRY(cpu_tuning_measure(cpu->tuning, device, &calls[i], cpu->isa, err));
    if (cpu->tuning) GEN_TRY(cpu_tuning_save(cpu->tuning, err));
    return compile_on(cpu, calls, n_calls, NULL, 0, exec, err);
}

gen_status cpu_device_compile_way(gen_device *device, const gen_call *call, const cpu_kernel *kernel, int32_t way,
                                  gen_exec **exec, gen_error *err)
{
    return compile_on((const cpu_device *)device, call, 1, kernel, way, exec, err);
}

static size_t compile_bytes(gen_device *device, const gen_call *calls, int32_t n_calls)
{
    const cpu_device *cpu = (const cpu_device *)device;
    size_t kept = 0, shared = 0, thread = 0;
    for (int32_t i = 0; i < n_calls; i++) {
        cpu_step step = { 0 };
        if (choose_kernel(cpu, &calls[i], &step, NULL) != GEN_OK) continue; /* compile will say it */
        kept += step.work.keep_bytes;
        shared = larger(shared, step.work.shared_bytes);
        thread = larger(thread, whole_lines(step.work.thread_bytes));
    }
    return kept + shared + thread * (size_t)gen_pool_threads(cpu->pool);
}

/* ---- run ---- */

typedef struct phase_job {
    const gen_exec *exec;
    const cpu_step *step;
    int32_t phase;
} phase_job;

static void run_part(void *context, int32_t part, int32_t thread)
{
    const phase_job *p = context;
    const cpu_step *step = p->step;
    cpu_job job = {
        .phase = p->phase,
        .part = part,
        .parts = cpu_phase_parts(&step->work, p->phase),
        .thread = thread,
        .shared = p->exec->shared,
        .scratch = p->exec->scratch + (size_t)thread * p->exec->thread_bytes,
        .keep = step->keep,
        .work = &step->work,
    };
    step->kernel->run(step->call, &job);
}

static void run_step(gen_exec *exec, cpu_step *step)
{
    for (int32_t phase = 0; phase < step->work.n_phases; phase++)
        gen_pool_run(exec->pool, cpu_phase_parts(&step->work, phase), run_part, &(phase_job){ exec, step, phase });
}

/* Not while compiling: frozen weights may be uploaded after that. */
static void prepare_steps(gen_exec *exec)
{
    for (int32_t i = 0; i < exec->n_steps; i++) {
        cpu_step *step = &exec->steps[i];
        if (step->kernel->prepare) step->kernel->prepare(step->call, &step->work, step->keep);
    }
    exec->prepared = true;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gen_status run(gen_exec *exec, gen_error *err)
{
    (void)err;
    if (!exec->prepared) prepare_steps(exec);
    for (int32_t i = 0; i < exec->n_steps; i++) {
        cpu_step *step = &exec->steps[i];
        double start = exec->profiling ? now_s() : 0;
        run_step(exec, step);
        if (exec->profiling) step->seconds += now_s() - start;
    }
    return GEN_OK;
}

/* seconds (may be NULL): n_calls sums since profiling was switched on; switching it on starts anew. */
static void profile(gen_exec *exec, bool on, double *seconds)
{
    for (int32_t i = 0; i < exec->n_steps; i++) {
        if (seconds) seconds[i] = exec->steps[i].seconds;
        if (on && !exec->profiling) exec->steps[i].seconds = 0;
    }
    exec->profiling = on;
}

/* ---- the machine's peak ---- */

typedef double peak_fn(int64_t rounds);

typedef struct peak_job {
    peak_fn *fn;
    int64_t rounds;
    double flops[MAX_THREADS];
} peak_job;

static void peak_part(void *context, int32_t part, int32_t thread)
{
    peak_job *job = context;
    (void)thread;
    job->flops[part] = job->fn(job->rounds);
}

static peak_fn *peak_of(cpu_isa isa)
{
#ifdef GEN_CPU_BF16
    if (isa == CPU_AVX512_BF16) return cpu_peak_avx512_bf16;
#endif
#ifdef GEN_CPU_VEC
    return isa == CPU_AVX512 ? cpu_peak_avx512
           : isa == CPU_AVX2 ? cpu_peak_avx2
           : isa == CPU_BASE ? cpu_peak_base
                             : NULL;
#else
    (void)isa;
    return NULL;
#endif
}

/* The best of a few goes: others may want the processor too. */
static double peak(gen_device *device)
{
    cpu_device *cpu = (cpu_device *)device;
    enum { GOES = 10, ROUNDS = 300000 };
    peak_job job = { peak_of(cpu->isa), ROUNDS, { 0 } };
    double best = 0;
    int32_t parts = gen_pool_threads(cpu->pool);
    for (int go = 0; job.fn && go < GOES; go++) {
        double start = now_s(), flops = 0;
        gen_pool_run(cpu->pool, parts, peak_part, &job);
        double seconds = now_s() - start;
        for (int32_t i = 0; i < parts; i++) flops += job.flops[i];
        if (flops / seconds > best) best = flops / seconds;
    }
    return best;
}

/* ---- as a table of functions ---- */

static void cpu_close(gen_device *device)
{
    if (!device) return;
    cpu_tuning_close(((cpu_device *)device)->tuning);
    gen_pool_free(((cpu_device *)device)->pool);
    gen_free(device);
}

static const gen_device_ops ops = { cpu_alloc, cpu_free, upload,    download,      compile, run, exec_free,
                                    profile,   peak,     cpu_close, compile_bytes, NULL,    NULL };
static const gen_device_ops ops64 = { cpu_alloc, cpu_free, upload64,  download64,    compile, run, exec_free,
                                      profile,   NULL,     cpu_close, compile_bytes, NULL,    NULL };

/* ---- one kernel, whatever else there is ---- */

enum { MAX_RUNGS = 64 };

/* The rungs that serve the call, worst first. */
static int32_t find_rungs(const gen_device *device, const gen_call *call, const cpu_kernel *rungs[MAX_RUNGS])
{
    const cpu_kernel *all[MAX_RUNGS];
    if (device->ops != &ops) return 0;
    int32_t n = 0, n_all = cpu_kernel_rungs(call->op, ((const cpu_device *)device)->isa, all, MAX_RUNGS);
    for (int32_t i = 0; i < n_all; i++)
        if (!all[i]->fits || all[i]->fits(call)) rungs[n++] = all[i];
    return n;
}

int32_t cpu_device_rungs(gen_device *device, const gen_call *call, const char **names, int32_t max)
{
    const cpu_kernel *rungs[MAX_RUNGS];
    int32_t n = find_rungs(device, call, rungs);
    for (int32_t i = 0; i < n && i < max; i++) names[i] = rungs[i]->name;
    return n;
}

gen_status cpu_device_compile_rung(gen_device *device, const gen_call *call, int32_t i, gen_exec **exec, gen_error *err)
{
    const cpu_kernel *rungs[MAX_RUNGS];
    int32_t n = find_rungs(device, call, rungs);
    if (i < 0 || i >= n)
        return gen_fail(err, GEN_UNSUPPORTED, "%s has %d kernels for %s, and no number %d", device->name, n,
                        gen_op_get(call->op)->name, i);
    return compile_on((const cpu_device *)device, call, 1, rungs[i], 0, exec, err);
}

/* ---- open, close, describe ---- */

static gen_status check_cap(gen_error *err)
{
    const char *cap = getenv("GEN_CPU");
    if (!cap || !*cap) return GEN_OK;
    for (cpu_isa isa = CPU_REF; isa <= CPU_AVX512; isa++)
        if (!strcmp(cap, cpu_isa_name(isa))) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "the environment's GEN_CPU is '%s', expected ref, base, avx2 or avx512", cap);
}

static cpu_isa isa_of(cpu_numbers numbers)
{
    return numbers == CPU_BFLOAT16 ? CPU_AVX512_BF16 : cpu_isa_best();
}

static gen_status check_bf16(gen_error *err)
{
    char processor[256];
    if (cpu_has_bf16()) return GEN_OK;
    cpu_describe(processor, sizeof processor);
    return gen_fail(err, GEN_UNSUPPORTED,
                    "bf16 on the cpu needs AVX512-BF16, and this one has it not or is told not to use it (%s); leave "
                    "--precision at fp32",
                    processor);
}

gen_status cpu_device_open(cpu_numbers numbers, int32_t threads, gen_device **device, gen_error *err)
{
    bool ref64 = numbers == CPU_DOUBLE;
    if (threads < 0 || threads > MAX_THREADS)
        return gen_fail(err, GEN_BAD_OPTION, "%d threads, expected 1 to %d, or 0 for all cores", threads, MAX_THREADS);
    GEN_TRY(check_cap(err));
    if (numbers == CPU_BFLOAT16) GEN_TRY(check_bf16(err));
    cpu_device *cpu = gen_alloc(1, sizeof *cpu);
    if (!cpu) return gen_fail(err, GEN_NO_MEMORY, "the cpu device");
    int32_t n = threads ? threads : gen_cpu_count();
    cpu->pool = gen_pool_new(n);
    if (!cpu->pool) {
        gen_free(cpu);
        return gen_fail(err, GEN_NO_MEMORY, "a pool of %d threads", n);
    }
    cpu->isa = isa_of(numbers);
    cpu->ref64 = ref64;
    const char *kind = ref64 ? "cpu64" : "cpu", *level = ref64 ? "double reference" : cpu_isa_name(cpu->isa);
    snprintf(cpu->name, sizeof cpu->name, "%s (%s, %d thread%s)", kind, level, n, n == 1 ? "" : "s");
    cpu->device = (gen_device){ ref64 ? &ops64 : &ops, cpu->name, ref64 ? sizeof(double) : sizeof(float) };
    *device = &cpu->device;
    return GEN_OK;
}

/* The first "model name" of /proc/cpuinfo, or nothing. */
static void read_model(char *model, size_t bytes)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    model[0] = 0;
    while (file && !model[0] && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon || colon[1] != ' ') continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(model, bytes, "%s", colon + 2);
    }
    if (file) fclose(file);
}

void cpu_describe(char *buffer, size_t bytes)
{
    char model[128];
    read_model(model, sizeof model);
    int32_t cores = gen_cpu_count();
    snprintf(buffer, bytes, "%s, %s, %s, %d core%s", model[0] ? model : "unknown processor",
             cpu_isa_name(cpu_isa_best()), cpu_has_bf16() ? "bf16" : "no bf16", cores, cores == 1 ? "" : "s");
}

/* ---- measured choices ---- */

gen_status cpu_device_tune(gen_device *device, const char *folder, char *note, size_t note_bytes, gen_error *err)
{
    char model[128], machine[256], path[1024];
    cpu_device *cpu = (cpu_device *)device;
    if (device->ops != &ops)
        return gen_fail(err, GEN_UNSUPPORTED, "%s: only the processor's kernels are measured to choose among them",
                        device->name);
    int32_t threads = gen_pool_threads(cpu->pool);
    read_model(model, sizeof model);
    snprintf(machine, sizeof machine, "%s, %s, %d", model[0] ? model : "unknown processor", cpu_isa_name(cpu->isa),
             threads);
    snprintf(path, sizeof path, "%s/%s-%d.txt", folder, cpu_isa_name(cpu->isa), threads);
    return cpu_tuning_open(path, machine, &cpu->tuning, note, note_bytes, err);
}
