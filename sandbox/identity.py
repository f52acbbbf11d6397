"""Access tokens: the managed identity endpoint (IMDS) and the token endpoint of Entra ID."""

import time
import uuid
from urllib.parse import parse_qsl

from sandbox import jose
from sandbox.server import Answer, Refusal, Service

TENANT = "72f988bf-0000-4000-8000-00000000d05e"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
OBJECT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
CLIENT_SECRET = "sandbox~worthless.secret"
SUBJECT = "system:serviceaccount:default:decant"
CLUSTER = "https://cluster.sandbox.invalid/"
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RESOURCES = (
    "https://vault.azure.net",
    "https://vault.usgovcloudapi.net",
    "https://vault.azure.cn",
    "https://managedhsm.azure.net",
    "https://managedhsm.usgovcloudapi.net",
    "https://managedhsm.azure.cn",
    "https://storage.azure.com",
    "https://storage.azure.com/",
    "https://attest.azure.net",
    "https://management.azure.com/",
)


class Directory:
    """Who may have tokens, and who signed them; both endpoints and all services that check tokens share it."""

    def __init__(self, keys):
        self.key, self.cluster_key = keys.get("entra"), keys.get("cluster")
        self.kid = jose.thumbprint(jose.public_jwk(self.key))
        self.public = {self.kid: self.key.public_key()}
        self.cluster_public = {"cluster": self.cluster_key.public_key()}
        self.known = {}
        self.restore()

    def restore(self):
        self.lifetime_s = 86400

    def token(self, audience, lifetime_s=None):
        now = int(time.time())
        lifetime = self.lifetime_s if lifetime_s is None else lifetime_s
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + lifetime,
            "appid": CLIENT_ID,
            "azp": CLIENT_ID,
            "oid": OBJECT_ID,
            "sub": OBJECT_ID,
            "tid": TENANT,
            "idtyp": "app",
            "ver": "1.0",
            "uti": uuid.uuid4().hex,
        }
        return jose.sign({"typ": "JWT", "alg": "RS256", "kid": self.kid, "x5t": self.kid}, claims, self.key)

    def federated_token(self, **changes):
        """What the cluster writes for a pod with workload identity."""
        now = int(time.time())
        claims = {
            "aud": [FEDERATED_AUDIENCE],
            "iss": CLUSTER,
            "sub": SUBJECT,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            **changes,
        }
        return jose.sign({"alg": "RS256", "kid": "cluster"}, claims, self.cluster_key)

    def check(self, authorization, audiences, challenge):
        """Refuses (401, with CHALLENGE) what is no valid bearer token for one of AUDIENCES."""

        def refuse(code, message):
            raise Refusal(401, code, message, {"WWW-Authenticate": challenge})

        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            refuse("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        claims = self.known.get(token)
        if claims is None:
            try:
                claims = jose.verify(token.strip(), self.public)
            except ValueError as error:
                refuse("Unauthorized", f"AKV10022: Invalid token: {error}.")
            if len(self.known) > 1000:
                self.known.clear()
            self.known[token] = claims
        now = time.time()
        if not claims["nbf"] - 300 <= now < claims["exp"]:
            refuse("Unauthorized", "AKV10022: Invalid token: it is expired or not yet valid.")
        if claims["aud"] not in audiences:
            refuse("Unauthorized", f"AKV10022: Invalid audience. Expected {audiences[0]}, found: {claims['aud']}.")
        return claims


class Imds(Service):
    """GET /metadata/identity/oauth2/token."""

    name = "identity"

    def __init__(self, directory):
        self.directory = directory

    def refusal(self, error):
        return Answer(
            error.status, error.headers, json_body={"error": error.code, "error_description": error.message}
        )

    def handle(self, request):
        if request.path != "/metadata/identity/oauth2/token":
            raise Refusal(404, "not_found", "There is nothing here.")
        if request.method != "GET":
            raise Refusal(405, "bad_request_100", "The method is not allowed.", {"Allow": "GET"})
        if request.header("X-Forwarded-For") or request.header("Via"):
            raise Refusal(400, "invalid_request", "The request came through a proxy.")
        if (request.header("Metadata") or "").lower() != "true":
            raise Refusal(400, "bad_request_102", "Required metadata header not specified")
        if request.query.get("api-version") not in ("2018-02-01", "2019-08-01", "2020-06-01", "2021-02-01"):
            raise Refusal(400, "invalid_request", "Required query variable 'api-version' is missing or not supported")
        return self.token(request.query)

    def token(self, query):
        resource = query.get("resource")
        if not resource:
            raise Refusal(400, "invalid_request", "Required query variable 'resource' is missing")
        if query.get("client_id", CLIENT_ID) != CLIENT_ID or query.get("object_id", OBJECT_ID) != OBJECT_ID:
            raise Refusal(400, "invalid_request", "Identity not found")
        if resource not in RESOURCES:
            raise Refusal(
                400,
                "invalid_resource",
                "AADSTS500011: The resource principal named " f"{resource} was not found in the tenant.",
            )
        now, lifetime = int(time.time()), self.directory.lifetime_s
        return Answer(
            json_body={
                "access_token": self.directory.token(resource),
                "refresh_token": "",
                "client_id": CLIENT_ID,
                "expires_in": str(lifetime),
                "expires_on": str(now + lifetime),
                "ext_expires_in": str(lifetime),
                "not_before": str(now - 5),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


class Entra(Service):
    """POST /<tenant>/oauth2/v2.0/token with client_credentials; the discovery that Microsoft's libraries begin with."""

    name = "entra"

    def __init__(self, directory):
        self.directory = directory

    def refusal(self, error):
        number = str(error.inner or "")
        trace, stamp = str(uuid.uuid4()), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        text = f"AADSTS{number}: {error.message}" if number else error.message
        return Answer(
            error.status,
            error.headers,
            json_body={
                "error": error.code,
                "error_description": f"{text} Trace ID: {trace} Correlation ID: {trace} Timestamp: {stamp}",
                "error_codes": [int(number)] if number else [],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": trace,
            },
        )

    def handle(self, request):
        parts = request.segments()
        if request.method == "GET" and parts[1:] == ["v2.0", ".well-known", "openid-configuration"]:
            return self.discovery(request.base, parts[0])
        if parts[1:] != ["oauth2", "v2.0", "token"]:
            raise Refusal(404, "not_found", "There is nothing here.")
        if request.method != "POST":
            raise Refusal(400, "invalid_request", "Endpoint only accepts POST requests.", inner=900561)
        self.check_tenant(parts[0])
        if (request.header("Content-Type") or "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            raise Refusal(
                400, "invalid_request", "The request body must contain the parameter 'grant_type'.", inner=900144
            )
        form = dict(parse_qsl(request.body(65536).decode("utf-8", "replace"), keep_blank_values=True))
        return self.token(form)

    @staticmethod
    def check_tenant(tenant):
        if tenant.lower() != TENANT:
            raise Refusal(400, "invalid_request", f"Tenant '{tenant}' not found.", inner=90002)

    def discovery(self, base, tenant):
        self.check_tenant(tenant)
        return Answer(
            json_body={
                "token_endpoint": f"{base}/{TENANT}/oauth2/v2.0/token",
                "issuer": f"{base}/{TENANT}/v2.0",
                "authorization_endpoint": f"{base}/{TENANT}/oauth2/v2.0/authorize",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }
        )

    def token(self, form):
        for needed in ("grant_type", "client_id", "scope"):
            if not form.get(needed):
                raise Refusal(
                    400,
                    "invalid_request",
                    f"The request body must contain the following parameter: '{needed}'.",
                    inner=900144,
                )
        if form["grant_type"] != "client_credentials":
            raise Refusal(400, "unsupported_grant_type", "The grant type is not supported.", inner=70003)
        if form["client_id"].lower() != CLIENT_ID:
            raise Refusal(
                400,
                "unauthorized_client",
                f"Application with identifier '{form['client_id']}' was not found" " in the directory.",
                inner=700016,
            )
        self.authenticate(form)
        scope = form["scope"].split(" ")[0]
        resource = scope[: -len("/.default")] if scope.endswith("/.default") else None
        if resource is None:
            raise Refusal(
                400,
                "invalid_scope",
                f"The provided value for scope {scope} is not valid: it must end with" " /.default.",
                inner=1002012,
            )
        if resource not in RESOURCES:
            raise Refusal(
                400,
                "invalid_resource",
                f"The resource principal named {resource} was not found in the" " tenant.",
                inner=500011,
            )
        lifetime = min(self.directory.lifetime_s, 3599)
        return Answer(
            json_body={
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self.directory.token(resource, lifetime),
            },
            headers={"Cache-Control": "no-store, no-cache"},
        )

    def authenticate(self, form):
        if "client_secret" in form:
            if form["client_secret"] != CLIENT_SECRET:
                raise Refusal(401, "invalid_client", "Invalid client secret provided.", inner=7000215)
            return
        if "client_assertion" not in form:
            raise Refusal(
                401,
                "invalid_client",
                "The request body must contain the following parameter:" " 'client_assertion' or 'client_secret'.",
                inner=7000218,
            )
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refusal(400, "invalid_request", "The client assertion type is not supported.", inner=50027)
        self.check_assertion(form["client_assertion"])

    def check_assertion(self, assertion):
        def refuse(number, message):
            raise Refusal(401, "invalid_client", message, inner=number)

        try:
            _, claims, _, _ = jose.read(assertion)
        except ValueError:
            raise Refusal(400, "invalid_request", "Invalid JWT token.", inner=50027) from None
        audience = claims.get("aud")
        if FEDERATED_AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
            refuse(700212, "No matching federated identity record found for presented assertion audience.")
        if claims.get("iss") != CLUSTER:
            refuse(700211, "No matching federated identity record found for presented assertion issuer.")
        if claims.get("sub") != SUBJECT:
            refuse(700213, "No matching federated identity record found for presented assertion subject.")
        try:
            jose.verify(assertion, self.directory.cluster_public)
        except ValueError:
            refuse(7000272, "The signature of the client assertion is not valid.")
        if not claims.get("nbf", 0) - 300 <= time.time() < claims.get("exp", 0):
            refuse(700024, "Client assertion is not within its valid time range.")
