/* aws_private: what the files of src/cloud/aws share. */
#pragma once
#include "cloud/aws/aws.h"

struct aws {
    struct arena *arena; /* settings */
    struct cloud_host host;
    struct aws_settings settings;
    struct http_client *http, *metadata; /* the latter: short timeout, never by a proxy */
    str region;                          /* found */
    struct arena *held;                  /* the credentials in use */
    struct aws_credentials credentials;  /* access_key empty: none yet */
    int64_t skew_ns;                     /* to be added to our clock */
};

int64_t aws_now_ns(const struct aws *aws);
/* The date of a refusal that speaks of time: true when the clock was set by it. */
bool aws_learn_time(struct aws *aws, const struct http_result *r, str code);

/* A section of an INI file: the value of `key` in [section]; empty: none. */
str profile_get(str text, str section, str key);
/* The text between <NAME> and </NAME>; empty: none. Only for answers of the token service. */
str xml_text(str xml, str name);

/* A source: true when it has credentials (in `held`). An error only where somebody asked for this source. */
typedef struct error *aws_source_fn(struct aws *aws, struct arena *a, struct arena *held,
                                    struct aws_credentials *ret, bool *ret_found);
aws_source_fn aws_from_settings, aws_from_environment, aws_from_file, aws_from_role, aws_from_container,
    aws_from_instance;
/* Region of the instance; empty: this is none. */
str aws_instance_region(struct aws *aws, struct arena *a);
