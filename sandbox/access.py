"""Who may: bearer token, SAS, or anybody in a public container."""

from urllib.parse import unquote

from sandbox import sas
from sandbox.identity import TENANT
from sandbox.server import Refusal

ACCOUNT = "devaccount"
AUDIENCES = ("https://storage.azure.com/", "https://storage.azure.com")
CHALLENGE = (
    f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT}/oauth2/authorize"
    " resource_id=https://storage.azure.com"
)


class Target:
    """Account, container and blob that a request is about."""

    def __init__(self, request):
        parts = request.path[1:].split("/")
        label, _, suffix = request.hostname.partition(".")
        self.account = label if suffix.startswith("blob.core.") else unquote(parts.pop(0))
        self.container = unquote(parts[0]) if parts else ""
        self.blob = unquote("/".join(parts[1:])) or None
        if "\ufffd" in (self.blob or ""):
            raise Refusal(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


class Access:
    """The door of the storage service."""

    def __init__(self, directory, store, account_key):
        self.directory, self.store, self.account_key = directory, store, account_key

    def check(self, request, target, permission):
        authorization = request.header("Authorization")
        if "sig" in request.query:
            if authorization:
                raise Refusal(400, "InvalidAuthenticationInfo", "Both a SAS and an Authorization header were sent.")
            return sas.check(
                self.account_key, target.account, target.container, target.blob, request.query, permission
            )
        if authorization and authorization.lower().startswith("sharedkey"):
            raise Refusal(
                403,
                "KeyBasedAuthenticationNotPermitted",
                "Key based authentication is not permitted on this storage account.",
            )
        if authorization:
            try:
                return self.directory.check(authorization, AUDIENCES, CHALLENGE)
            except Refusal as error:
                raise Refusal(
                    401,
                    "InvalidAuthenticationInfo",
                    "Server failed to authenticate the request. Please refer to"
                    " the information in the www-authenticate header.",
                    error.headers,
                    inner=error.message,
                ) from None
        container = self.store.container(target.account, target.container)
        if request.method in ("GET", "HEAD") and container and container.public:
            return None
        raise Refusal(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to"
            " the information in the www-authenticate header.",
            {"WWW-Authenticate": CHALLENGE},
        )
