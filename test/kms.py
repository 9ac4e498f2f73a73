"""kms: key services for tests, each a small HTTP server on loopback. They check what a real one would check first: who asks, and how
it is signed. `faults` of a server makes it misbehave."""
import base64
import contextlib
import datetime
import email.utils
import http.server
import json
import os
import threading
import time


class Service:
    """One server. Subclasses answer(handler, method, path, body) -> (status, body, headers)."""

    def __init__(self, port=0, tls=None):
        self.requests, self.faults, self.slow_s = [], set(), 0.0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.requests.append((self.command, self.path, dict(self.headers.items()), body))
                time.sleep(service.slow_s)
                if "garbage" in service.faults:
                    status, out, more = 200, b"<html>\x00 not what you think", {}
                elif "error" in service.faults:
                    status, out, more = 500, b"", {}
                else:
                    status, out, more = service.answer(self, self.command, self.path, body)
                if not isinstance(out, bytes):
                    out = json.dumps(out).encode()
                with contextlib.suppress(OSError):
                    self.send_response_only(status)
                    self.send_header("Date", email.utils.formatdate(time.time() + service.ahead_s(), usegmt=True))
                    for name, value in more.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(out)))
                    self.end_headers()
                    self.wfile.write(out)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.port)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ahead_s(self):
        return 0

    def answer(self, handler, method, path, body):
        raise NotImplementedError

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.stop()


def xor(data, key=0x5a):
    return bytes(b ^ key for b in data)


class AwsKms(Service):
    """AWS KMS. Each request's signature is made again by botocore and compared. Keys: id -> enabled."""

    ARN = "arn:aws:kms:us-east-1:123456789012:key/"

    def __init__(self, port=0, access=("AKIDEXAMPLE", "secretexample", None)):
        super().__init__(port)
        self.access, self.keys, self.aliases, self.recorded, self.ahead = access, {}, {}, {}, 0
        self.sessions = {}

    def ahead_s(self):
        return self.ahead

    def new_key(self, alias=None):
        key = "%08x-aaaa-bbbb-cccc-000000000000" % (len(self.keys) + 1)
        self.keys[key] = True
        if alias:
            self.aliases[alias] = key
        return key

    def refuse(self, code, message="refused"):
        return 400, {"__type": "com.amazonaws.kms#" + code, "message": message}, {}

    def signature_is_good(self, handler, method, path, body):
        import botocore.auth
        import botocore.awsrequest
        import botocore.credentials

        given = handler.headers.get("Authorization", "")
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        sent_access = given.split("Credential=")[1].split("/")[0]
        access, secret, token = self.sessions.get(sent_access, self.access)
        if handler.headers.get("X-Amz-Security-Token") != token or (token and "x-amz-security-token" not in names) or access != sent_access:
            return False
        stamp = handler.headers["X-Amz-Date"]
        request = botocore.awsrequest.AWSRequest(method, "http://%s%s" % (handler.headers["Host"], path), data=body)
        for name in names:
            request.headers[name] = handler.headers[name]
        request.context["timestamp"] = stamp
        region = given.split("Credential=")[1].split("/")[2]
        auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(access, secret, token), "kms", region)
        canonical = auth.canonical_request(request)
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        return given.split("Signature=")[1] == signature

    def time_is_good(self, handler):
        sent = datetime.datetime.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        return abs(sent.timestamp() - (time.time() + self.ahead)) < 300

    def key_of(self, name):
        name = self.aliases.get(name, name).replace(self.ARN, "")
        return name if name in self.keys else None

    def answer(self, handler, method, path, body):
        if not self.signature_is_good(handler, method, path, body):
            return self.refuse("InvalidSignatureException", "The request signature we calculated does not match")
        if not self.time_is_good(handler):
            return self.refuse("InvalidSignatureException", "Signature expired")
        op, asked = handler.headers["X-Amz-Target"].split(".")[1], json.loads(body)
        if op in self.faults or "deny" in self.faults:
            return self.refuse("AccessDeniedException", "no permission for kms:" + op)
        if op == "Decrypt":
            return self.decrypt(base64.b64decode(asked["CiphertextBlob"]), asked)
        key = self.key_of(asked["KeyId"])
        if not key:
            return self.refuse("NotFoundException", "Key '%s' does not exist" % asked["KeyId"])
        if op == "DescribeKey":
            return 200, {"KeyMetadata": {"KeyId": key, "Arn": self.ARN + key, "Enabled": self.keys[key]}}, {}
        if not self.keys[key]:
            return self.refuse("DisabledException", self.ARN + key + " is disabled.")
        sealed = key.encode() + xor(base64.b64decode(asked["Plaintext"]))
        return 200, {"CiphertextBlob": base64.b64encode(sealed).decode(), "KeyId": self.ARN + key}, {}

    def decrypt(self, blob, asked):
        if set(asked) != {"CiphertextBlob"}:
            return self.refuse("ValidationException", "members that are not asked for")
        if blob in self.recorded:
            return 200, {"Plaintext": base64.b64encode(self.recorded[blob]).decode(), "KeyId": self.ARN + "recorded"}, {}
        key = blob[:36].decode("latin-1")
        if key not in self.keys:
            return self.refuse("InvalidCiphertextException", "")
        if not self.keys[key]:
            return self.refuse("DisabledException", self.ARN + key + " is disabled.")
        data = os.urandom(32) if "wrong" in self.faults else xor(blob[36:])
        return 200, {"Plaintext": base64.b64encode(data).decode(), "KeyId": self.ARN + key}, {}


class AwsMetadata(Service):
    """Instance metadata (v2), container endpoint and token service in one. Each set of credentials is made known to `kms`."""

    def __init__(self, kms, port=0):
        super().__init__(port)
        self.kms, self.lifetime_s, self.count, self.web_token = kms, 3600, 0, "web-token"
        self.authorization = "container-token"

    def fresh(self):
        self.count += 1
        made = ("ASIA%04d" % self.count, "secret%d" % self.count, "token%d" % self.count)
        self.kms.sessions[made[0]] = made
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lifetime_s)
        return made, end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def as_json(self):
        (access, secret, token), end = self.fresh()
        return 200, {"Code": "Success", "AccessKeyId": access, "SecretAccessKey": secret, "Token": token, "Expiration": end}, {}

    def as_xml(self, action):
        (access, secret, token), end = self.fresh()
        text = ("<%sResponse><%sResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s"
                "</SessionToken><Expiration>%s</Expiration></Credentials></%sResult></%sResponse>")
        return 200, (text % (action, action, access, secret, token, end, action, action)).encode(), {}

    def answer(self, handler, method, path, body):
        if method == "PUT" and path == "/latest/api/token":
            return (200, b"session", {}) if handler.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600" else (400, b"", {})
        if path.startswith("/latest/"):
            if handler.headers.get("X-aws-ec2-metadata-token") != "session":
                return 401, b"", {}
            if path == "/latest/meta-data/iam/security-credentials/":
                return 200, b"the-role\n", {}
            if path.endswith("/the-role"):
                return self.as_json()
            if path.endswith("/instance-identity/document"):
                return 200, {"region": "eu-central-1"}, {}
        if path == "/container":
            return self.as_json() if handler.headers.get("Authorization") == self.authorization else (403, b"", {})
        if method == "POST" and path == "/":
            import urllib.parse
            form = {k: v[0] for k, v in urllib.parse.parse_qs(body.decode()).items()}
            if form["Action"] == "AssumeRoleWithWebIdentity":
                good = form["WebIdentityToken"] == self.web_token and "Authorization" not in handler.headers
            else:
                good = handler.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=") and form["DurationSeconds"] == "900"
            if good and form["RoleArn"] == "arn:aws:iam::123456789012:role/r":
                return self.as_xml(form["Action"])
            return 403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>", {}
        return 404, b"", {}


class Google(Service):
    """Cloud KMS, the token service and the metadata service. The assertion's signature is checked with the account's public key."""

    PATH = "/v1/projects/p/locations/global/keyRings/r/cryptoKeys/k"

    def __init__(self, port=0):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        self.account_key, self.tokens, self.version, self.permissions = rsa.generate_private_key(65537, 2048), 0, 1, ["x"]
        super().__init__(port)
        self.account = {"type": "service_account", "client_email": "me@p.example", "private_key_id": "kid1", "token_uri": self.url + "/token",
                        "private_key": self.account_key.private_bytes(
                            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()}

    def assertion_is_good(self, assertion):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        def plain(part):
            return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        head, claims, signature = assertion.split(".")
        self.account_key.public_key().verify(plain(signature), ("%s.%s" % (head, claims)).encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(plain(claims))
        return json.loads(plain(head)) == {"alg": "RS256", "typ": "JWT", "kid": "kid1"} and claims["iss"] == "me@p.example" and \
            claims["aud"] == self.url + "/token" and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform" and \
            claims["exp"] == claims["iat"] + 3600 and abs(claims["iat"] - time.time()) < 60

    def token(self):
        self.tokens += 1
        return 200, {"access_token": "token%d" % self.tokens, "expires_in": 3600, "token_type": "Bearer"}, {}

    def answer(self, handler, method, path, body):
        import urllib.parse
        if path == "/token":
            form = {k: v[0] for k, v in urllib.parse.parse_qs(body.decode()).items()}
            good = form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer" and self.assertion_is_good(form["assertion"])
            return self.token() if good else (400, {"error": "invalid_grant", "error_description": "no"}, {})
        if path == "/computeMetadata/v1/instance/service-accounts/default/token":
            return self.token() if handler.headers.get("Metadata-Flavor") == "Google" else (403, b"", {})
        if handler.headers.get("Authorization") != "Bearer token%d" % self.tokens:
            return 401, {"error": {"code": 401, "message": "invalid credentials", "status": "UNAUTHENTICATED"}}, {}
        op = path.replace(self.PATH, "")
        if op in self.faults:
            return 403, {"error": {"code": 403, "message": "no permission", "status": "PERMISSION_DENIED"}}, {}
        asked = json.loads(body) if body else {}
        if op == "" and method == "GET":
            return 200, {"name": self.PATH[4:]}, {}
        if op == ":testIamPermissions" and len(asked["permissions"]) == 5:
            return 200, {"permissions": self.permissions} if self.permissions else {}, {}
        if op == ":encrypt":
            sealed = b"%03d" % self.version + xor(base64.b64decode(asked["plaintext"]))
            return 200, {"name": "%s/cryptoKeyVersions/%d" % (self.PATH[4:], self.version), "ciphertext": base64.b64encode(sealed).decode()}, {}
        if op == ":decrypt":
            return 200, {"plaintext": base64.b64encode(xor(base64.b64decode(asked["ciphertext"])[3:])).decode()}, {}
        return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}, {}


class Azure(Service):
    """Key Vault, the directory's token endpoint and the identity endpoint; by TLS, as the vault's address always is."""

    def __init__(self, tls, port=0):
        super().__init__(port, tls)
        self.tokens, self.version = 0, "%032x" % 1
        self.resource = "https://0.0.1:%d" % self.port  # the vault is called "127"

    def token(self):
        self.tokens += 1
        return 200, {"token_type": "Bearer", "expires_in": "3599", "access_token": "AAD%d" % self.tokens}, {}

    def answer(self, handler, method, path, body):
        import urllib.parse
        path, _, query = path.partition("?")
        form = {k: v[0] for k, v in urllib.parse.parse_qs((body.decode() if path.endswith("/token") and body else query)).items()}
        if path == "/tid/oauth2/token":
            good = form == {"client_id": "cid", "client_secret": "c&s", "grant_type": "client_credentials", "resource": self.resource}
            return self.token() if good else (401, {"error": "invalid_client", "error_description": "AADSTS7000215"}, {})
        if path == "/metadata/identity/oauth2/token":
            good = handler.headers.get("Metadata") == "true" and form["resource"] == self.resource and form["api-version"] == "2018-02-01"
            return self.token() if good else (400, b"", {})
        if handler.headers.get("Authorization") != "Bearer AAD%d" % self.tokens:
            return 401, {"error": {"code": "Unauthorized", "message": "no token"}}, {}
        if "deny" in self.faults:
            return 403, {"error": {"code": "Forbidden", "message": "no permission"}}, {}
        kid = "%s/keys/unseal/%s" % (self.url, self.version)
        if query != "api-version=7.1":
            return 400, b"", {}
        if method == "GET" and path == "/keys/unseal/":
            return 200, {"key": {"kid": kid, "kty": "RSA"}}, {}
        asked = json.loads(body)
        if asked["alg"] != "RSA-OAEP-256":
            return 400, b"", {}
        if path == "/keys/unseal//wrapkey":
            return 200, {"kid": kid, "value": "W" + self.version[-4:] + asked["value"]}, {}
        if path == "/keys/unseal/%s/unwrapkey" % ("%032x" % int(asked["value"][1:5], 16)):
            padded = base64.urlsafe_b64decode(asked["value"][5:] + "=") + (b"\0" if "hsm" in self.faults else b"")
            return 200, {"kid": kid, "value": base64.urlsafe_b64encode(padded).decode().rstrip("=")}, {}
        return 404, {"error": {"code": "KeyNotFound", "message": path}}, {}
