/* The user_lockout blocks: when failed logins lock a user, per type of auth method. */
#include "base/clock.h"
#include "config/config_private.h"

#define L(member) offsetof(struct config_lockout, member)

static const struct row lockout_rows[] = {
    {"disable_lockout", ROW_BOOL, L(disabled)}, /* row 0: see lockout_read */
    {"lockout_threshold", ROW_INT, L(threshold)},
    {"lockout_duration", ROW_DURATION, L(duration_ns)},
    {"lockout_counter_reset", ROW_DURATION, L(counter_reset_ns)},
    {0},
};

static struct error *lockout_read(struct reader *r, const struct hcl_item *item, struct config_lockout *ret)
{
    static const str types[] = {{"all", 3}, {"userpass", 8}, {"ldap", 4}, {"approle", 7}};
    uint64_t given;
    bool known = false;
    if (item->n_keys < 2 || item->value->type != HCL_OBJECT)
        return error_new(r->arena, ERR_BAD_REQUEST, "auth type must be specified");
    *ret = (struct config_lockout){.type = arena_lower(r->arena, item->keys[1].text)};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        known = known || str_eq(ret->type, types[i]);
    if (!known)
        return error_new(r->arena, ERR_BAD_REQUEST, "unsupported auth type \"%.*s\"", PSTR(ret->type));
    TRY(rows_read(r, lockout_rows, item->value, ret, &given));
    ret->disabled_given = given & 1;
    if (ret->threshold < 0 || ret->duration_ns < 0 || ret->counter_reset_ns < 0)
        return error_new(r->arena, ERR_BAD_REQUEST, "values must not be negative");
    return NULL;
}

struct error *lockouts_read(struct reader *r, const struct hcl_value *root)
{
    struct config *c = r->config;
    for (const struct hcl_item *item = root->first; item; item = item->next) {
        if (!item_is(item, STR("user_lockout")) || item->value->type == HCL_NULL)
            continue;
        c->lockouts = array_room(r->arena, c->lockouts, c->n_lockouts, sizeof *c->lockouts);
        struct error *e = lockout_read(r, item, &c->lockouts[c->n_lockouts]);
        if (e)
            return error_wrap(r->arena, e, "error parsing 'user_lockout': %.*s", PSTR(e->text));
        c->n_lockouts++;
    }
    return NULL;
}

/* What `to` does not say yet, from the blocks of a type; the last one is the first asked. */
static void fill(struct config_lockout *to, const struct config *c, str type)
{
    for (size_t i = c->n_lockouts; i > 0; i--) {
        const struct config_lockout *from = &c->lockouts[i - 1];
        if (!str_eq(from->type, type))
            continue;
        to->threshold = to->threshold ? to->threshold : from->threshold;
        to->duration_ns = to->duration_ns ? to->duration_ns : from->duration_ns;
        to->counter_reset_ns = to->counter_reset_ns ? to->counter_reset_ns : from->counter_reset_ns;
        if (!to->disabled_given && from->disabled_given) {
            to->disabled = from->disabled;
            to->disabled_given = true;
        }
    }
}

struct config_lockout config_lockout_of(const struct config *c, str type)
{
    struct config_lockout l = {.type = type};
    fill(&l, c, type);
    fill(&l, c, STR("all"));
    l.threshold = l.threshold ? l.threshold : 5;
    l.duration_ns = l.duration_ns ? l.duration_ns : 15 * 60 * NS_PER_S;
    l.counter_reset_ns = l.counter_reset_ns ? l.counter_reset_ns : 15 * 60 * NS_PER_S;
    return l;
}
