/* lockout: too many failed logins of one alias lock it for a time (userpass, ldap, approle).
 *
 * Counted by (mount accessor, alias name in canonical form) in memory, for the life of struct active; which
 * aliases are locked is stored as well: core/login/lockedUsers/root/ACCESSOR/NAME
 * (docs/formats/lockout.md). The lane counts when it runs a login, in the order of execution, and takes it
 * back when that run turns out to be void: guesses sent side by side are counted like guesses one after the
 * other.
 * Bounds: LOCKOUT_ENTRIES_MAX counts; of those that share a place the oldest goes. Threads: any.
 */
#pragma once
#include "core/engine.h"

enum { LOCKOUT_ENTRIES_MAX = 8192 };

struct lockout; /* the counts; in struct active */
struct lockout *lockout_new(void);
void lockout_free(struct lockout *l); /* NULL is fine */
/* Begins to remove stored locks whose time is over, again and again. Both on the control thread; stop once
 * nothing holds the active. */
void lockout_start(struct active *a);
void lockout_stop(struct lockout *l);
struct lockout *active_lockout(struct active *a); /* core's */

struct lockout_rule { /* of a mount */
    int64_t threshold, duration_ns, counter_reset_ns;
    bool disabled;
};
struct lockout_rule lockout_rule_of(const struct request *rq, const struct mount *m);

/* 403 "permission denied" when the alias is locked. */
struct error *lockout_check(struct request *rq, const struct lockout_rule *rule, str alias) MUST_USE;
/* One failure more; what it writes is kept though the login is refused. */
struct error *lockout_count(struct request *rq, const struct lockout_rule *rule, str alias) MUST_USE;
struct error *lockout_count_locked(struct request *rq, size_t *ret_n) MUST_USE; /* stored locks */
/* A good login, or an operator: all is forgotten. */
struct error *lockout_clear(struct request *rq, str mount_accessor, str alias) MUST_USE;

/* sys/locked-users and unlocking; relative to sys/. */
extern const struct route lockout_routes[];
