/* pgp: encrypting to somebody's OpenPGP key, with librnp (docs/decisions/openpgp.md). No keyring, nothing on
 * disk.
 *
 * Key:     a public key as RFC 4880 has it, binary; the first of several counts. At most PGP_KEY_BYTES_MAX.
 * Threads: no state, any thread; a call takes about a millisecond.
 * Errors:  ERR_BAD_REQUEST; ERR_INTERNAL when the library is not installed.
 */
#pragma once
#include "base/error.h"

enum { PGP_KEY_BYTES_MAX = 64 * 1024 };

/* Lower-case hex of the primary key. "error parsing given PGP key: …". */
struct error *pgp_fingerprint(struct arena *a, bytes key, str *ret) MUST_USE;
/* A binary message that the key's owner opens. "error setting up encryption for PGP message: …" for a key
 * that cannot encrypt: it has no such subkey, or that has expired. */
struct error *pgp_encrypt(struct arena *a, bytes key, bytes clear, bytes *ret_message) MUST_USE;

/* A key in base64: "error decoding given PGP key: …". An armored one in it is unwrapped. */
struct error *pgp_key_decode(struct arena *a, str base64, bytes *ret_key) MUST_USE;
/* ASCII armor (RFC 4880, 6.2) of a public key. False: it is none; ret is untouched. The check sum is not
 * looked at: a key is signed. */
bool pgp_dearmor(struct arena *a, str text, bytes *ret) MUST_USE;
