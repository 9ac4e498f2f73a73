/* Rules and a question from bytes; the compiled set must answer as the slow reference.
 *
 * Lines: the first is one byte of operation and the path asked; each other one is one byte of capabilities,
 * one of
 * '=' exact or '*' prefix, and a path; an empty line begins the next policy.
 */
#include "../unit/core/acl_reference.h"

enum { POLICIES_MAX = 3, RULES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_rule(struct policy *p, str line)
{
    struct policy_rule *r = &p->rules[p->n];
    str path = str_from(line, 2);

    if (p->n == RULES_MAX || line.n < 2 || str_find(path, STR("+*")) < path.n)
        return;
    r->path = path;
    r->segments = str_eq(path, STR("+")) || str_starts(path, STR("+/")) || str_find(path, STR("/+")) < path.n;
    r->prefix = line.p[1] == '*' && !str_ends(path, STR("+"));
    r->capabilities = (uint8_t)line.p[0];
    if (r->capabilities & CAP_DENY)
        r->capabilities = CAP_DENY;
    p->n++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct policy policies[POLICIES_MAX] = {0};
    const struct policy *set[POLICIES_MAX];
    str question, left = {(const char *)data, size}, line;
    size_t at = 0;

    for (size_t i = 0; i < POLICIES_MAX; i++) {
        policies[i].name = STR("p");
        policies[i].rules = ARENA_ARRAY(a, struct policy_rule, RULES_MAX + 1);
        set[i] = &policies[i];
    }
    bool more = str_cut(left, '\n', &question, &left);

    while (more) {
        more = str_cut(left, '\n', &line, &left);
        if (line.n == 0)
            at = MIN(at + 1, (size_t)POLICIES_MAX - 1);
        else
            add_rule(&policies[at], line);
    }
    if (question.n) {
        struct acl *acl = acl_compile(set, POLICIES_MAX, false, NULL);

        reference_check(acl, set, POLICIES_MAX, (enum op)((uint8_t)question.p[0] % OP_COUNT_),
                        str_from(question, 1));
        acl_unref(acl);
    }
    arena_free(a);
    return 0;
}
