#include "base/error.h"
#include "check.h"

#include <errno.h>

static struct error *fails(struct arena *a, bool fail_now, int *reached)
{
    TRY(fail_now ? error_new(a, ERR_DENIED, "permission %s", "denied") : NULL);
    (*reached)++;
    return NULL;
}

static void try_passes_on(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    int reached = 0;
    assert_error(fails(a, true, &reached), ERR_DENIED, "permission denied");
    assert_ok(fails(a, false, &reached));
    assert_int_equal(reached, 1);
    arena_free(a);
}

static void wrapping_keeps_the_cause_for_the_log(void **state)
{
    (void)state;
    struct arena *a = arena_new(0), *b = arena_new(0);
    struct error *e = error_errno(a, ENOSPC, "write %s", "x");
    assert_error(e, ERR_FULL, "write x: No space left on device");
    e = error_wrap(a, e, "storage failed");
    assert_error(e, ERR_FULL, "storage failed");
    assert_int_equal(e->os_errno, ENOSPC);
    assert_str(error_log_text(a, e), "storage failed: write x: No space left on device");
    assert_true(strstr(e->file, "test_error.c") != NULL);
    struct error *copy = error_copy(b, e);
    arena_free(a);
    assert_str(error_log_text(b, copy), "storage failed: write x: No space left on device");
    assert_null(error_copy(b, NULL));
    arena_free(b);
}

static void kinds_and_statuses(void **state)
{
    (void)state;
    static const struct {
        enum err_kind kind;
        int status;
    } cases[] = {
        {ERR_INTERNAL, 500},        {ERR_BAD_REQUEST, 400},  {ERR_DENIED, 403},       {ERR_NOT_FOUND, 404},
        {ERR_UNSUPPORTED, 405},     {ERR_CONFLICT, 409},     {ERR_PRECONDITION, 412}, {ERR_TOO_LARGE, 413},
        {ERR_MEDIA_TYPE, 415},      {ERR_RATE_LIMITED, 429}, {ERR_SEALED, 503},       {ERR_BUSY, 503},
        {ERR_STANDBY, 500},         {ERR_TIMEOUT, 503},      {ERR_IO, 500},           {ERR_FULL, 500},
        {ERR_UNKNOWN_OUTCOME, 500}, {ERR_FENCED, 500},       {ERR_WOULD_BLOCK, 500},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(error_status(cases[i].kind), cases[i].status);
    assert_int_equal(error_errno(a, EIO, "x")->kind, ERR_IO);
    assert_int_equal(error_errno(a, EDQUOT, "x")->kind, ERR_FULL);
    assert_int_equal(error_errno(a, ENOENT, "x")->kind, ERR_INTERNAL);
    assert_ptr_equal(error_would_block(), error_would_block());
    assert_int_equal(error_would_block()->kind, ERR_WOULD_BLOCK);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(try_passes_on),
        cmocka_unit_test(wrapping_keeps_the_cause_for_the_log),
        cmocka_unit_test(kinds_and_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
