#include "base/log.h"
#include "cloud/aws/aws_private.h"
#include "config/config.h"

enum { METADATA_TIMEOUT_S = 1, REFRESH_S = 300 };

static str or_env(str given, const char *name, const char *other)
{
    if (given.n == 0)
        given = config_env_exact(name);
    return given.n > 0 || !other ? given : config_env_exact(other);
}

struct error *aws_new(struct arena *a, const struct aws_settings *s, const struct cloud_host *host,
                      struct aws **ret)
{
    if ((s->access_key.n == 0) != (s->secret_key.n == 0))
        return error_new(a, ERR_BAD_REQUEST,
                         "static AWS client credentials haven't been properly configured (the access key or "
                         "secret key were provided but not both)");
    struct arena *arena = arena_new(0);
    struct aws *aws = ARENA_NEW(arena, struct aws);
    struct aws_settings *t = &aws->settings;

    aws->arena = arena;
    aws->host = *host;
    aws->held = arena_new(0);
    t->access_key = arena_str(arena, s->access_key);
    t->secret_key = arena_str(arena, s->secret_key);
    t->session_token = arena_str(arena, s->session_token);
    t->region = arena_str(arena, or_env(s->region, "AWS_REGION", "AWS_DEFAULT_REGION"));
    t->shared_file = arena_str(arena, or_env(s->shared_file, "AWS_SHARED_CREDENTIALS_FILE", NULL));
    t->shared_profile = arena_str(arena, or_env(s->shared_profile, "AWS_PROFILE", NULL));
    if (t->shared_profile.n == 0)
        t->shared_profile = STR("default");
    t->role_arn = arena_str(arena, or_env(s->role_arn, "AWS_ROLE_ARN", NULL));
    t->role_session_name = arena_str(arena, or_env(s->role_session_name, "AWS_ROLE_SESSION_NAME", NULL));
    t->web_identity_token_file =
        arena_str(arena, or_env(s->web_identity_token_file, "AWS_WEB_IDENTITY_TOKEN_FILE", NULL));
    aws->http = http_client_new(&(struct http_client_config){.cancelled = host->cancelled});
    aws->metadata = http_client_new(&(struct http_client_config){
        .cancelled = host->cancelled, .no_proxy = true, .timeout_ns = METADATA_TIMEOUT_S * NS_PER_S});
    *ret = aws;
    return NULL;
}

void aws_free(struct aws *aws)
{
    if (!aws)
        return;
    http_client_free(aws->http);
    http_client_free(aws->metadata);
    arena_free(aws->held);
    arena_free(aws->arena);
}

/* Of the profile in the configuration file, which names its sections "profile NAME". */
static str profile_region(struct aws *aws, struct arena *a)
{
    str path = config_env_exact("AWS_CONFIG_FILE"), text, profile = aws->settings.shared_profile;

    if (path.n == 0)
        path = cloud_home(a, ".aws/config");
    if (path.n == 0 || cloud_file_read(a, path, &text))
        return (str){0};
    str section = str_eq(profile, STR("default")) ? profile : arena_join(a, STR("profile "), profile);

    return profile_get(text, section, STR("region"));
}

str aws_region(struct aws *aws)
{
    struct arena *a = arena_new(0);

    if (aws->region.n == 0)
        aws->region = aws->settings.region;
    if (aws->region.n == 0)
        aws->region = arena_str(aws->arena, profile_region(aws, a));
    if (aws->region.n == 0)
        aws->region = arena_str(aws->arena, aws_instance_region(aws, a));
    if (aws->region.n == 0)
        aws->region = STR("us-east-1");
    arena_free(a);
    return aws->region;
}

static struct error *find(struct aws *aws, struct arena *a, struct arena *held, struct aws_credentials *ret)
{
    static aws_source_fn *const sources[] = {aws_from_settings, aws_from_environment, aws_from_file,
                                             aws_from_role,     aws_from_container,   aws_from_instance};
    struct error *first = NULL;

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        bool found = false;
        struct error *e = sources[i](aws, a, held, ret, &found);

        if (!e && found)
            return NULL;
        if (e)
            log_warn("aws", "a source of credentials failed", F_STR("error", e->text));
        if (e && !first)
            first = e;
    }
    return error_new(a, ERR_INTERNAL, "NoCredentialProviders: no valid providers in chain%s%.*s",
                     first ? ": " : "", PSTR(first ? first->text : (str){0}));
}

struct error *aws_credentials_get(struct aws *aws, struct arena *a, struct aws_credentials *ret)
{
    int64_t left_ns = aws->credentials.expires_ns - aws_now_ns(aws);
    bool is_there = aws->credentials.access_key.n > 0;

    if (is_there && (aws->credentials.expires_ns == 0 || left_ns > REFRESH_S * NS_PER_S)) {
        *ret = aws->credentials;
        return NULL;
    }
    struct arena *held = arena_new(0);
    struct aws_credentials c = {0};
    struct error *e = find(aws, a, held, &c);

    if (e) {
        arena_free(held);
        if (!is_there || left_ns <= 0)
            return e;
        log_warn("aws", "credentials could not be renewed yet", F_STR("error", e->text));
    } else {
        arena_free(aws->held);
        aws->held = held;
        aws->credentials = c;
    }
    *ret = aws->credentials;
    return NULL;
}

int64_t aws_now_ns(const struct aws *aws)
{
    return clock_wall_ns(aws->host.clock) + aws->skew_ns;
}
