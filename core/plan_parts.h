/* core/plan_parts.h: what the three files of the plan share. Units are what runs as one step: a node, an anchor with its epilogue, or a chain. */
#ifndef GEN_CORE_PLAN_PARTS_H
#define GEN_CORE_PLAN_PARTS_H

#include "core/plan.h"

enum { PLAN_ALIGN_ELEMENTS = 16 }; /* 64 bytes of floats: where every value begins */

typedef enum unit_kind { UNIT_NODE, UNIT_EPILOGUE, UNIT_CHAIN } unit_kind;

typedef struct plan_unit {
    unit_kind kind;
    int32_t n_members;
    int32_t *members; /* node ids, ascending; of an epilogue: the anchor first, the result last */
    int32_t max_id;
    int32_t bias, residual; /* of an epilogue: node ids or -1 */
    gen_op act;
    double act_a;
    gen_shape shape; /* of a chain: the iteration shape */
    int32_t forward; /* of a chain: the largest of its members' (gen_node) */
    bool dead;       /* merged into another unit */
} plan_unit;

typedef struct plan_build {
    const gen_graph *g;
    const gen_plan_request *request;
    gen_arena *arena; /* of the plan */
    gen_arena *work;  /* dies when the plan stands */
    int32_t n;        /* nodes */
    bool *needed;     /* [n] */
    bool *kept;       /* [n] outputs and values of assignments: must exist in memory */
    int32_t *n_users; /* [n] needed users */
    int32_t *user;    /* [n] the last user: the only one where n_users is 1 */
    int32_t n_units, units_room;
    plan_unit *units;
    int32_t *unit_of; /* [n]: -1 where the node is no unit's member (sources, views, unneeded) */
    gen_plan *plan;
    gen_error *err;
} plan_build;

/* plan_fuse.c: fills units and unit_of. */
gen_status plan_make_units(plan_build *b);
/* A chain's code from its members; the ids of its inputs and outputs. in/out point into the plan's arena. */
gen_status plan_make_chain(plan_build *b, const plan_unit *unit, gen_plan_step *step);

/* plan_memory.c: liveness, shared buffers, offsets. Steps and plan->values' places (except offsets) are there. */
gen_status plan_place_values(plan_build *b);

/* Would the node, an input of a chain of this shape, be read element by element (not broadcast)? */
bool plan_is_full(const gen_node *node, const gen_shape *shape);

#endif
