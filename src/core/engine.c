/* engine: what handlers call: typed fields of the request, the answer, errors. */
#include "core/engine.h"

#include "base/log.h"
#include "core/route.h"
#include "core/txn_private.h"

#include <assert.h>
#include <stdarg.h>

const char *op_name(enum op op)
{
    static const char *const names[OP_COUNT_] = {"read", "create", "update", "patch", "delete",
                                                 "list", "help",   "header", ""};

    assert(op < OP_COUNT_);
    return names[op];
}

static const struct field_value *find(const struct request *rq, const char *name)
{
    for (size_t i = 0; i < rq->n_fields; i++)
        if (strcmp(rq->fields[i].field->name, name) == 0)
            return &rq->fields[i];
    die("a handler asks for the field %s, which its route does not have", name);
}

static const struct field_value *find_typed(const struct request *rq, const char *name, unsigned types)
{
    const struct field_value *v = find(rq, name);

    assert(types & 1u << v->field->type);
    return v;
}

str field_str(const struct request *rq, const char *name)
{
    return find_typed(rq, name, 1u << FT_STRING | 1u << FT_NAME | 1u << FT_LOWER)->s;
}

int64_t field_int(const struct request *rq, const char *name)
{
    return find_typed(rq, name, 1u << FT_INT)->i;
}

double field_float(const struct request *rq, const char *name)
{
    return find_typed(rq, name, 1u << FT_FLOAT)->d;
}

int64_t field_ns(const struct request *rq, const char *name)
{
    return find_typed(rq, name, 1u << FT_SECONDS | 1u << FT_SIGNED_SECONDS | 1u << FT_TIME)->i;
}

bool field_bool(const struct request *rq, const char *name)
{
    return find_typed(rq, name, 1u << FT_BOOL)->b;
}

const str *field_strs(const struct request *rq, const char *name, size_t *ret_n)
{
    const struct field_value *v = find_typed(rq, name, 1u << FT_STRINGS | 1u << FT_LIST);

    *ret_n = v->list.n;
    return v->list.items;
}

const struct json *field_json(const struct request *rq, const char *name)
{
    return find(rq, name)->raw;
}

bool field_given(const struct request *rq, const char *name)
{
    return find(rq, name)->raw != NULL;
}

struct json *response_data(struct request *rq, struct response *rs)
{
    if (!rs->data)
        rs->data = json_object(rq->arena);
    return rs->data;
}

void response_warn(struct request *rq, struct response *rs, const char *fmt, ...)
{
    size_t n = rs->n_warnings;
    va_list args;

    rs->warnings = arena_grow(rq->arena, rs->warnings, n * sizeof(str), (n + 1) * sizeof(str));
    va_start(args, fmt);
    rs->warnings[n] = arena_vfmt(rq->arena, fmt, args);
    va_end(args);
    rs->n_warnings++;
}

struct error *response_list(struct request *rq, struct response *rs, const str *names, size_t n)
{
    if (n == 0)
        return fail_absent(rq);
    json_set(rq->arena, response_data(rq, rs), STR("keys"), json_strings(rq->arena, names, n));
    return NULL;
}

struct error *response_again(struct response *rs)
{
    rs->again = true;
    return NULL;
}

unsigned request_route_flags(const struct request *rq)
{
    if (!rq->route)
        return 0;
    const struct route_op *op = &rq->route->ops[rq->op];

    if (rq->op == OP_CREATE && !op->fn)
        op = &rq->route->ops[OP_UPDATE];
    return rq->route->flags | op->flags;
}

struct error *fail_wrapped(struct request *rq, enum err_kind kind, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    str text = arena_vfmt(rq->arena, fmt, args);
    va_end(args);
    if (request_route_flags(rq) & ROUTE_UNAUTH) /* only what a token opens is wrapped */
        return error_new(rq->arena, kind, "%.*s", PSTR(text));
    return error_new(rq->arena, kind, "1 error occurred:\n\t* %.*s\n\n", PSTR(text));
}

struct error *fail_absent(struct request *rq)
{
    return error_new(rq->arena, ERR_NOT_FOUND, "%s", "");
}

bool request_is_rehearsal(const struct request *rq)
{
    return rq->txn && rq->txn->mode == TXN_REHEARSAL;
}
