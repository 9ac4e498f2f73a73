/* Signatures beside those that AWS's own SDK made (requests of a Vault server, recorded), and the parsers of
 * what the chain of credentials reads. */
#include "../base/check.h"
#include "cloud/aws/aws_private.h"
#include "crypto/crypto.h"

#include <stdlib.h>
#include <unistd.h>

enum { VECTORS_MIN = 19 };

/* "20261122T042734Z" */
static int64_t stamp_ns(struct arena *a, str s)
{
    int64_t ns = 0;
    str text =
        arena_fmt(a, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.p, s.p + 4, s.p + 6, s.p + 9, s.p + 11, s.p + 13);

    assert_true(time_parse(text, &ns));
    return ns;
}

static bool is_added(str name)
{
    return str_eq_nocase(name, STR("Host")) || str_eq_nocase(name, STR("Content-Length")) ||
           str_eq_nocase(name, STR("Authorization")) || str_eq_nocase(name, STR("X-Amz-Date"));
}

static void sign_sample(struct arena *a, const struct aws_credentials *c, const struct json *request)
{
    const struct json *given = json_get(request, STR("headers"));
    struct http_header h[AWS_HEADERS_MAX], added[3];
    str wanted = json_get_str(given, STR("Authorization")),
        scope = str_from(wanted, str_index(wanted, '/') + 1), day, region, service, path, query;
    size_t n = 0, n_added;

    for (uint32_t i = 0; i < given->n; i++)
        if (!is_added(given->members[i].key))
            h[n++] = (struct http_header){given->members[i].key, given->members[i].value->text};
    str_cut(scope, '/', &day, &scope);
    str_cut(scope, '/', &region, &scope);
    str_cut(scope, '/', &service, &scope);
    str_cut(json_get_str(request, STR("target")), '?', &path, &query);
    aws_sign(a, c,
             &(struct aws_signing){.method = json_get_str(request, STR("method")),
                                   .host = json_get_str(given, STR("Host")),
                                   .path = path,
                                   .query = query,
                                   .headers = h,
                                   .n_headers = n,
                                   .body = bytes_from_str(json_get_str(request, STR("body"))),
                                   .region = region,
                                   .service = service,
                                   .now_ns = stamp_ns(a, json_get_str(given, STR("X-Amz-Date"))),
                                   .path_is_final = str_eq(service, STR("s3"))},
             added, &n_added);
    assert_int_equal(n_added, 2);
    assert_str(added[0].value, arena_cstr(a, json_get_str(given, STR("X-Amz-Date"))));
    assert_str(added[1].value, arena_cstr(a, wanted));
}

static void recorded_signatures(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct json *v;
    str text;

    assert_ok(cloud_file_read(a, STR(VECTORS), &text));
    assert_ok(json_parse(a, text, false, &v));
    const struct json *keys = json_get(v, STR("credentials")), *samples = json_get(v, STR("samples"));
    struct aws_credentials c = {.access_key = keys->items[0]->text, .secret_key = keys->items[1]->text};

    assert_true(samples->n >= VECTORS_MIN);
    for (uint32_t i = 0; i < samples->n; i++)
        sign_sample(a, &c, json_get(samples->items[i], STR("request")));
    arena_free(a);
}

static void profiles(void **state)
{
    (void)state;
    static const char text[] = "# comment\n[default]\naws_access_key_id = A\n aws_secret_access_key=B=C\n"
                               "[ other ]\nAWS_ACCESS_KEY_ID=D\n;x=y\n[broken\naws_access_key_id = E";

    assert_str(profile_get(str_from_cstr(text), STR("default"), STR("aws_access_key_id")), "A");
    assert_str(profile_get(str_from_cstr(text), STR("default"), STR("aws_secret_access_key")), "B=C");
    assert_str(profile_get(str_from_cstr(text), STR("other"), STR("aws_access_key_id")), "D");
    assert_str(profile_get(str_from_cstr(text), STR("other"), STR("aws_secret_access_key")), "");
    assert_str(profile_get(str_from_cstr(text), STR("absent"), STR("aws_access_key_id")), "");
    assert_str(profile_get(STR(""), STR("default"), STR("x")), "");
}

static void tags(void **state)
{
    (void)state;
    str xml = STR("<A><Credentials><AccessKeyId> K </AccessKeyId><Expiration>E</Credentials></A>");

    assert_str(xml_text(xml, STR("AccessKeyId")), "K");
    assert_str(xml_text(xml, STR("Expiration")), "");
    assert_str(xml_text(xml, STR("Absent")), "");
    assert_str(xml_text(STR("<"), STR("A")), "");
}

static void dates(void **state)
{
    (void)state;
    int64_t ns;

    assert_true(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &ns));
    assert_int_equal(ns / NS_PER_S, 784111777);
    assert_true(http_date_parse(STR("Sat, 31 Dec 2026 23:59:59 GMT"), &ns));
    static const char *const bad[] = {"", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 ovD 1994 08:49:37 GMT",
                                      "Sun, 46 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT"};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(http_date_parse(str_from_cstr(bad[i]), &ns));
}

/* The first source that has some; the settings come before the environment, this before the file. */
static void the_first_source_counts(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct cloud_host host = {.rng = rng_system(), .clock = clock_real()};
    struct aws_credentials c;
    struct aws *aws;
    char path[] = "/tmp/coffer-aws-XXXXXX";
    static const char text[] = "[default]\naws_access_key_id=file\naws_secret_access_key=s\n";
    int fd = mkstemp(path);

    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "environment", 1), 0);
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "s", 1), 0);
    assert_int_equal(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    struct aws_settings s = {.access_key = STR("settings"),
                             .secret_key = STR("s"),
                             .shared_file = str_from_cstr(path),
                             .region = STR("eu-x")};

    assert_ok(aws_new(a, &s, &host, &aws));
    assert_ok(aws_credentials_get(aws, a, &c));
    assert_str(c.access_key, "settings");
    assert_str(aws_region(aws), "eu-x");
    aws_free(aws);
    s.access_key = s.secret_key = (str){0};
    assert_ok(aws_new(a, &s, &host, &aws));
    assert_ok(aws_credentials_get(aws, a, &c));
    assert_str(c.access_key, "environment");
    aws_free(aws);
    unsetenv("AWS_ACCESS_KEY_ID");
    assert_ok(aws_new(a, &s, &host, &aws));
    assert_ok(aws_credentials_get(aws, a, &c));
    assert_str(c.access_key, "file");
    aws_free(aws);
    unlink(path);
    assert_ok(aws_new(a, &s, &host, &aws));
    assert_error(aws_credentials_get(aws, a, &c), ERR_INTERNAL,
                 "NoCredentialProviders: no valid providers in chain");
    aws_free(aws);
    s.access_key = STR("alone");
    assert_error(
        aws_new(a, &s, &host, &aws), ERR_BAD_REQUEST,
        "static AWS client credentials haven't been properly configured (the access key or secret key "
        "were provided but not both)");
    arena_free(a);
}

/* The container's credentials come from this machine: an address that only looks so is not asked. */
static void the_container_is_here(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct cloud_host host = {.rng = rng_system(), .clock = clock_real()};
    struct aws *aws;
    static const char *const elsewhere[] = {
        "http://localhost:x@192.0.2.1/c",
        "http://localhost@192.0.2.1/c",
        "http://127.0.0.1:80@192.0.2.1/c",
        "http://[::1]:80@192.0.2.1/c",
        "http://a:b@localhost:1/c",
        "http://localhost:1.example/c",
        "http://192.0.2.1#://localhost/",
        "http://localhost.example/c",
        "http://192.0.2.1?@localhost/c",
        "http://192.0.2.1/@localhost/c",
        "http://localhost\\@192.0.2.1:1/c",
        "http://@/",
        "localhost",
    };

    assert_ok(aws_new(a, &(struct aws_settings){.region = STR("eu-x")}, &host, &aws));
    for (size_t i = 0; i < COUNT_OF(elsewhere); i++) {
        struct aws_credentials c;
        bool found = false;

        assert_int_equal(setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere[i], 1), 0);
        assert_error(aws_from_container(aws, a, a, &c, &found), ERR_INTERNAL,
                     "CredentialsEndpointError: invalid endpoint host, only loopback hosts are allowed");
        assert_false(found);
    }
    /* nobody listens at port 1, but it is asked */
    static const char *const here[] = {"http://localhost:1/c", "http://[::1]:1/c@d",
                                       "http://127.0.0.1:1?a@b"};

    for (size_t i = 0; i < COUNT_OF(here); i++) {
        struct aws_credentials c;
        bool found = false;

        assert_int_equal(setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", here[i], 1), 0);
        struct error *e = aws_from_container(aws, a, a, &c, &found);

        assert_non_null(e);
        assert_true(str_find(e->text, STR("loopback")) == e->text.n);
    }
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    aws_free(aws);
    arena_free(a);
}

static int prepare(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_signatures),
        cmocka_unit_test(profiles),
        cmocka_unit_test(tags),
        cmocka_unit_test(dates),
        cmocka_unit_test(the_first_source_counts),
        cmocka_unit_test(the_container_is_here),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
