/* policy: the text of policies, their compiled form, and the decision.
 *
 * Text: HCL or JSON, docs/formats/policy.md; stored and returned verbatim (sys/policy/NAME).
 * A compiled acl is immutable and reference-counted; it is kept per policy set and dies with its policies
 * (space version). Threads: any.
 */
#pragma once
#include "core/engine.h"
#include "core/policy/parameters.h"
#include "core/policy/template.h"

enum capability {
    CAP_CREATE = 1,
    CAP_READ = 2,
    CAP_UPDATE = 4,
    CAP_DELETE = 8,
    CAP_LIST = 16,
    CAP_SUDO = 32,
    CAP_DENY = 64,
    CAP_PATCH = 128,
};

struct policy_rule {                                  /* one path block */
    str path;                                         /* without the trailing '*' */
    bool prefix;                                      /* it had one */
    bool segments;                                    /* has a '+' segment */
    bool templated;                                   /* names an identity */
    unsigned capabilities;                            /* CAP_DENY alone when denied */
    int64_t min_wrapping_ttl_ns, max_wrapping_ttl_ns; /* 0: none */
    const struct parameters *parameters;              /* NULL: none */
    struct path_part *parts;                          /* of a templated one */
    size_t n_parts;
    /* mfa_methods and control_group are checked for errors and have no effect */
};

struct policy {
    str name, raw;
    struct policy_rule *rules;
    size_t n;
    bool templated; /* a path holds {{…}} */
};

/* Errors: ERR_BAD_REQUEST "failed to parse policy: …" in the API's words. */
struct error *policy_parse(struct arena *a, str name, str text, struct policy **ret) MUST_USE;

/* The stored policy of that name (lower case), parsed; NULL: none. "root" has none. */
struct error *policy_load(struct view *policies, struct arena *a, str name, struct policy **ret) MUST_USE;
/* Of the names of policies, those for passwords too: one that ends in a slash is nobody's. No write takes it,
 * and a file storage has "a/" and "a" in one file, so that it would reach the other's. */
bool policy_is_no_name(str name);

struct acl; /* compiled policy set: one heap block, and an arena for parameters if there are any */
/* One reference. values: of the identity that has the set; NULL: none, templated rules are left out. */
struct acl *acl_compile(const struct policy *const *policies, size_t n, bool is_root,
                        const struct template_values *values);
/* Compiled without values: the names its templated rules ask for, sorted; they live as long as the acl. */
const str *acl_templates(const struct acl *a, size_t *ret_n);
/* Compiled without values: can a rule that it left out be one for this path? */
bool acl_template_may_match(const struct acl *a, str path);
struct acl *acl_ref(struct acl *a);
void acl_unref(struct acl *a);

struct acl_result {
    bool allowed, is_root, sudo; /* sudo: the path carries the sudo capability (root: true) */
    unsigned capabilities;
    const str *
        granting; /* names of the policies that carry the deciding rule; for audit; live as long as the acl */
    size_t n_granting;
    int64_t min_wrapping_ttl_ns, max_wrapping_ttl_ns; /* of the rule; 0: none */
    const struct parameters *parameters;              /* of the rule; NULL: none */
};
/* The decision for `op` on the exact bytes that are routed. OP_HELP is always allowed, as Vault does. No
 * allocation. Matching: the exact path (for OP_LIST also without its trailing '/'); else of the prefix and
 * segment rules that match the one whose first wildcard comes last, then one that does not end in '*', with
 * fewer '+', longer, greater by bytes. */
void acl_decide(const struct acl *acl, enum op op, str path, struct acl_result *ret);

/* The rules of exact paths and of prefixes one after the other, i from 0; false: no more. Those with '+'
 * are left out; the root's set has none. */
struct acl_rule {
    str path; /* lives as long as the acl */
    bool prefix;
    unsigned capabilities;
    int64_t min_wrapping_ttl_ns, max_wrapping_ttl_ns;
    const struct parameters *parameters; /* NULL: none */
    const struct rule *rule;             /* acl.c's own */
};
bool acl_rule_at(const struct acl *acl, uint32_t i, struct acl_rule *ret);

/* The rule that decides `op` on `path`, with '+' or not; false: there is none, or none is asked (root). */
bool acl_rule_of(const struct acl *acl, enum op op, str path, struct acl_rule *ret);
/* Names of the policies that give this capability (or, CAP_DENY, that deny) in the rule; they live as long as
 * the acl. */
const str *acl_rule_carriers(const struct acl *acl, const struct acl_rule *r, enum capability c,
                             size_t *ret_n);

/* May this set do anything at `path` (a mount, ending in '/') or below it? A rule that begins there may still
 * not match. */
bool acl_reaches(const struct acl *acl, str path);

/* Does an answer wrapped for `wrap_ttl_ns` (0: not wrapped) keep within the rule's bounds? Asked besides
 * `allowed`. */
bool acl_result_allows_wrapping(const struct acl_result *r, int64_t wrap_ttl_ns);
/* Does the rule let `op` come with this data (an object or NULL)? Asked besides `allowed`. */
bool acl_result_allows_data(const struct acl_result *r, enum op op, const struct json *data);

/* Both, after `allowed` and with the sudo capability where the route needs it: what keeps the request out. */
enum acl_lack {
    ACL_LACKS_NOTHING,
    ACL_LACKS_CAPABILITY,
    ACL_LACKS_DATA,
    ACL_LACKS_WRAPPING,
    ACL_LACKS_SUDO,
};
enum acl_lack acl_judge(const struct acl_result *r, enum op op, const struct json *data, int64_t wrap_ttl_ns,
                        bool needs_sudo);

/* explain.c: sys/coffer/explain, which tells why a request is let in or kept out. */
extern const struct route explain_routes[];

/* The set of a token: default, root … from storage (view of SPACE_POLICY) or the cache of compiled sets.
 * Missing policies are skipped. WOULD_BLOCK passes. The reference is held by the request's arena. */
struct acl_cache;
struct acl_cache *acl_cache_new(void);
void acl_cache_free(struct acl_cache *c);
/* For an identity (NULL: none), for questions about any path. */
struct error *acl_for_entity(struct request *rq, const str *names, size_t n, const struct entity *e,
                             const struct acl **ret) MUST_USE;
/* For rq->entity, to judge rq->path alone: templated rules that can't match it may be missing. Routes that
 * tell what a token may do elsewhere (sys/capabilities…, sys/internal/ui/…) get all. */
struct error *acl_for(struct request *rq, const str *names, size_t n, const struct acl **ret) MUST_USE;
struct acl_cache *active_acl_cache(struct active *a); /* core's */

/* At activation: default, response-wrapping, control-group are written if missing (the latter two set back if
 * changed). */
struct error *policy_open(struct txn *t, struct arena *a) MUST_USE;

/* The policies' own routes, relative to sys/: policy, policy/{name...}, policies/acl, policies/acl/{name...},
 * … */
extern const struct route policy_routes[];
