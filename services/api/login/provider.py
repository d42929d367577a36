"""The login provider, by authlib: OpenID Connect, GitHub, JupyterHub. What it says of somebody comes out as claims."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from authlib.integrations.base_client.errors import MismatchingStateError, OAuthError
from authlib.integrations.starlette_client import StarletteIntegration, StarletteOAuth2App
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from condarium import log
from condarium.errors import CondariumError, NotAuthorized
from services.api.config import LoginSettings

SECONDS = 10.0
#: of signatures that only the provider can make; `none` and those by a shared secret are left out
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
GITHUB = "https://github.com"
SCOPES = {"oidc": "openid profile email", "github": "read:user read:org", "jupyterhub": ""}

logger = log.get(__name__)


class ProviderAway(CondariumError):
    """The provider does not answer, or not as such a provider does; the log says what."""

    status = 503
    code = "login-provider-away"


class StateMismatch(CondariumError):
    """The answer does not belong to a login that this browser has begun, or too long ago."""

    status = 401
    code = "login-state"


@dataclass(frozen=True)
class Person:
    """`issuer` and `subject` are for ever; `claims` are what the provider says today."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]


class Provider:
    """One provider. What it keeps of a login under way is in `request.session`, see `callback`."""

    def __init__(self, settings: LoginSettings) -> None:
        self.kind = settings.login_provider
        self.issuer = settings.login_issuer or GITHUB
        scopes = " ".join(settings.login_scopes) or SCOPES[self.kind]
        self._app = StarletteOAuth2App(
            StarletteIntegration("login"),
            name="login",
            client_id=settings.login_client_id,
            client_secret=settings.login_client_secret,
            client_kwargs={
                "scope": scopes,
                "code_challenge_method": "S256",
                "timeout": SECONDS,
                "verify": _trusted(settings.ca_bundle),
                # Where the secret is shown: GitHub and JupyterHub read it in the body.
                "token_endpoint_auth_method": "client_secret_basic" if self.kind == "oidc" else "client_secret_post",
            },
            **_endpoints(self.kind, self.issuer),
        )
        self._loading = asyncio.Lock()

    async def redirect(self, request: Request, redirect_uri: str) -> Response:
        """To the provider. Raises ProviderAway."""
        try:
            await self._prepare()
            found: Response = await self._app.authorize_redirect(request, redirect_uri)
        except (httpx2.HTTPError, OAuthError, ValueError, RuntimeError, KeyError) as error:
            raise self._away(error) from error
        return found

    async def person(self, request: Request) -> Person:
        """Who came back. Raises StateMismatch, NotAuthorized in the provider's words, ProviderAway."""
        try:
            await self._prepare()
            token = await self._app.authorize_access_token(request)
            claims = await self._claims(token)
        except MismatchingStateError:
            raise StateMismatch(
                "this login did not begin in this browser, or more than ten minutes ago; begin again"
            ) from None
        except OAuthError as error:
            logger.warning("the login provider refused", error=error.error, description=error.description)
            raise NotAuthorized(f"the login provider says: {error.description or error.error}"[:300]) from None
        except JoseError as error:
            logger.warning("the login provider's id token is not good", error=type(error).__name__)
            raise NotAuthorized("the login provider's answer is not signed as it should be") from None
        except (httpx2.HTTPError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise self._away(error) from error
        subject = str(claims["id" if self.kind == "github" else "name" if self.kind == "jupyterhub" else "sub"])
        return Person(self.issuer, subject, claims)

    async def _prepare(self) -> None:
        """The issuer's metadata, once, and only what is safe of it. Raises RuntimeError, httpx2.HTTPError."""
        if self.kind != "oidc":
            return
        async with self._loading:
            known = self._app.server_metadata
            if "_loaded_at" in known:
                return
            found = await self._app.load_server_metadata()
            if str(found.get("issuer", "")).rstrip("/") != self.issuer.rstrip("/"):
                known.clear()
                raise RuntimeError(f"it calls itself {found.get('issuer')!r}")
            methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            if "client_secret_basic" not in methods and "client_secret_post" in methods:
                self._app.client_kwargs["token_endpoint_auth_method"] = "client_secret_post"
            offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
            found["id_token_signing_alg_values_supported"] = [each for each in offered if each in SIGNATURES]

    async def _claims(self, token: Mapping[str, Any]) -> Mapping[str, Any]:
        match self.kind:
            case "github":
                return await self._github_claims(token)
            case "jupyterhub":
                return dict(await self._get("user", token))
        signed = token.get("userinfo")
        if not signed or not signed.get("sub"):
            raise RuntimeError("it gave no id token")
        if "userinfo_endpoint" not in self._app.server_metadata:
            return dict(signed)
        more = dict(await self._app.userinfo(token=token))
        if more.get("sub") != signed["sub"]:
            raise RuntimeError("its userinfo is about somebody else")
        # What is signed stands.
        return {**more, **signed}

    async def _github_claims(self, token: Mapping[str, Any]) -> Mapping[str, Any]:
        user = await self._get("user", token)
        organizations = await self._get("user/orgs?per_page=100", token)
        teams = await self._get("user/teams?per_page=100", token)
        return {
            "id": user["id"],
            "login": user["login"],
            "name": user.get("name"),
            "groups": [each["login"] for each in organizations],
            "teams": [f"{each['organization']['login']}/{each['slug']}" for each in teams],
        }

    async def _get(self, path: str, token: Mapping[str, Any]) -> Any:
        reply = await self._app.get(path, token=token)
        reply.raise_for_status()
        return reply.json()

    def _away(self, error: Exception) -> ProviderAway:
        logger.warning("the login provider is away", provider=self.issuer, reason=f"{type(error).__name__}: {error}")
        return ProviderAway(
            f"the login provider at {self.issuer} does not answer as it should; try again in a moment, or ask who "
            "runs this installation"
        )


def _endpoints(kind: str, issuer: str) -> dict[str, str]:
    match kind:
        case "github":
            api = "https://api.github.com/" if issuer == GITHUB else f"{issuer}/api/v3/"
            return {
                "authorize_url": f"{issuer}/login/oauth/authorize",
                "access_token_url": f"{issuer}/login/oauth/access_token",
                "api_base_url": api,
            }
        case "jupyterhub":
            return {
                "authorize_url": f"{issuer}/api/oauth2/authorize",
                "access_token_url": f"{issuer}/api/oauth2/token",
                "api_base_url": f"{issuer}/api/",
            }
    return {"server_metadata_url": f"{issuer}/.well-known/openid-configuration"}


def _trusted(bundle: Path | None) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=str(bundle)) if bundle is not None else True
