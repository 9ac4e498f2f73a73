/* certs: certificates made for a test, in a folder of its own. */
#pragma once
#include "base/base.h"

struct authority;
struct authority *authority_new(const char *folder, const char *name); /* FOLDER/NAME.pem */
void authority_free(struct authority *ca);
/* FOLDER/NAME.pem and FOLDER/NAME.key, for localhost and 127.0.0.1, valid from now for `days` (negative:
 * expired). */
void authority_issue(struct authority *ca, const char *name, int days);
