#include "cli/policy_cases.h"

static size_t blank_index(str s)
{
    return MIN(str_index(s, ' '), str_index(s, '\t'));
}

static size_t blank_rindex(str s)
{
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] != ' ' && s.p[n - 1] != '\t')
        n--;
    return n;
}

static struct error *case_parse(struct arena *a, uint32_t line, str text, struct policy_case *ret)
{
    size_t first = blank_index(text);
    size_t last = blank_rindex(text);
    str verdict = str_from(text, last);
    str path = str_trim(str_slice(text, first, last));
    if (!path.n)
        return error_new(a, ERR_BAD_REQUEST, "line %u: a case is OPERATION PATH allow|deny", line);
    if (!str_eq(verdict, STR("allow")) && !str_eq(verdict, STR("deny")))
        return error_new(a, ERR_BAD_REQUEST, "line %u: \"%.*s\" is neither allow nor deny", line,
                         PSTR(verdict));
    *ret = (struct policy_case){line, str_slice(text, 0, first), path, str_eq(verdict, STR("allow"))};
    return NULL;
}

struct error *policy_cases_parse(struct arena *a, str text, struct policy_case **ret_cases, size_t *ret_n)
{
    size_t cap = 0;
    size_t n = 0;
    struct policy_case *cases = NULL;
    uint32_t number = 0;
    for (str line; text.n;) {
        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        number++;
        if (!line.n || line.p[0] == '#')
            continue;
        if (n == POLICY_CASES_MAX)
            return error_new(a, ERR_TOO_LARGE, "line %u: more than %d cases", number, POLICY_CASES_MAX);
        if (n == cap) {
            size_t more = cap ? 2 * cap : 64;
            cases = arena_grow(a, cases, cap * sizeof(*cases), more * sizeof(*cases));
            cap = more;
        }
        TRY(case_parse(a, number, line, &cases[n]));
        n++;
    }
    *ret_cases = cases;
    *ret_n = n;
    return NULL;
}
