/* What the chain of credentials reads from outside: profiles, the token service's answer, dates. */
#include "cloud/aws/aws_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = {(const char *)data, size}, found;
    int64_t ns;

    found = profile_get(text, STR("default"), STR("aws_access_key_id"));
    if (found.n > size)
        abort();
    found = xml_text(text, STR("AccessKeyId"));
    if (found.n > size)
        abort();
    if (http_date_parse(text, &ns) && size < 29)
        abort();
    return 0;
}
