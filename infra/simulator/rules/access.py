"""Rules of tokens, permissions and site addresses."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_GRANT_FLOW = f"{LEARN}/entra/identity-platform/v2-oauth2-client-creds-grant-flow"
_ENTRA_ERRORS = f"{LEARN}/entra/identity-platform/reference-error-codes"
_SELECTED = f"{LEARN}/graph/permissions-selected-overview"

AUTH: Final[tuple[Rule, ...]] = (
    documented(
        "AUTH-TOKEN-CLIENT-CREDENTIALS",
        "A client-credentials request answers 200 with access_token, token_type Bearer, expires_in and ext_expires_in, "
        "and with no refresh token.",
        source=_GRANT_FLOW,
        broken="the answer also carries a refresh_token",
    ),
    documented(
        "AUTH-TOKEN-BAD-SECRET",
        "A wrong client secret answers 401 invalid_client (AADSTS7000215) and no token.",
        source=_ENTRA_ERRORS,
        broken="a token is issued whatever the secret",
    ),
    documented(
        "AUTH-TOKEN-BAD-SCOPE",
        "A scope that does not end in /.default answers 400 invalid_scope (AADSTS1002012).",
        source=_GRANT_FLOW,
        broken="a token is issued whatever the scope",
        knob="audience",
    ),
    documented(
        "AUTH-BEARER-REQUIRED",
        "A Graph call without a token answers 401 InvalidAuthenticationToken.",
        source=f"{LEARN}/graph/resolve-auth-errors",
        broken="a call without a token is answered as the tenant's default app",
    ),
    documented(
        "AUTH-TOKEN-UNKNOWN",
        "A Graph call with a token that the tenant never issued answers 401 InvalidAuthenticationToken.",
        source=f"{LEARN}/graph/resolve-auth-errors",
        broken="any bearer text is taken as a token of the tenant's default app",
    ),
    documented(
        "AUTH-TOKEN-EXPIRES",
        "A token older than its expires_in answers 401 InvalidAuthenticationToken.",
        source=f"{LEARN}/entra/identity-platform/access-tokens",
        broken="tokens never expire",
    ),
    documented(
        "AUTH-ROLE-READ-ONLY",
        "An app with Sites.Read.All alone reads items, and writing one answers 403 accessDenied.",
        source=f"{API}/listitem-create",
        broken="Sites.Read.All may write items",
    ),
    documented(
        "AUTH-ROLE-MANAGE-LISTS",
        "Creating a list or a column wants Sites.Manage.All: Sites.ReadWrite.All alone gets 403 accessDenied.",
        source=f"{API}/list-create",
        broken="Sites.ReadWrite.All may create lists and columns",
    ),
    documented(
        "AUTH-SELECTED-NEEDS-GRANT",
        "Sites.Selected opens nothing by itself: a site without a grant for the app answers 403 accessDenied.",
        source=_SELECTED,
        broken="Sites.Selected opens every site",
    ),
    documented(
        "AUTH-SELECTED-READ-GRANT",
        "A read grant under Sites.Selected reads the site's items and answers 403 accessDenied to a write.",
        source=_SELECTED,
        broken="a read grant may write",
    ),
    reported(
        "AUTH-SELECTED-NO-SEARCH",
        "Under Sites.Selected, searching sites and sites/getAllSites answer 403 accessDenied.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-java/issues/2090",
        broken="both list the tenant's sites",
    ),
    assumed(
        "AUTH-GRANT-REVOKED",
        "A revoked grant answers 403 accessDenied from the next call on, with the same token.",
        because="a grant is kept at the site, not in the token; no page says how soon a revocation counts.",
        broken="a revoked grant goes on working",
    ),
    documented(
        "AUTH-ROLES-IN-TOKEN",
        "Roles are baked into a token: a role that is granted later counts only in tokens issued after it.",
        source=f"{LEARN}/entra/identity-platform/access-token-claims-reference",
        broken="a token has whatever roles its app has at the moment of the call",
    ),
    documented(
        "AUTH-TOKEN-LIFETIME",
        "A token lives between 60 and 90 minutes.",
        source=f"{LEARN}/entra/identity-platform/configurable-token-lifetimes",
        broken="expires_in is 300",
        knob="token_life_min",
    ),
    documented(
        "AUTH-TOKEN-BAD-GRANT",
        "An unknown grant_type answers 400 unsupported_grant_type (AADSTS70003).",
        source=_ENTRA_ERRORS,
        broken="a token is issued whatever the grant type",
    ),
    documented(
        "AUTH-OPENID-CONFIGURATION",
        "/{tenant}/v2.0/.well-known/openid-configuration names the token endpoint of that tenant.",
        source=f"{LEARN}/entra/identity-platform/v2-protocols-oidc",
        broken="the document has no token_endpoint",
    ),
    documented(
        "AUTH-SELECTED-ONE-SITE",
        "A grant under Sites.Selected opens its own site and no other.",
        source=_SELECTED,
        broken="a grant on one site opens all sites of the tenant",
    ),
    documented(
        "AUTH-WWW-AUTHENTICATE",
        "A 401 of Graph carries a WWW-Authenticate header with a Bearer challenge.",
        source=f"{LEARN}/entra/identity-platform/claims-challenge",
        broken="the header is left out",
    ),
)

SITE: Final[tuple[Rule, ...]] = (
    documented(
        "SITE-COMPOSITE-ID",
        "A site's id is {hostname},{site collection guid},{web guid}.",
        source=f"{API}/resources/site",
        broken="the id is the web guid alone",
    ),
    documented(
        "SITE-ENCODED-COMMAS",
        "The commas of a site id may be sent raw or as %2C.",
        source=f"{API}/site-get",
        broken="an id with %2C answers 404",
    ),
    documented(
        "SITE-ROOT",
        "/sites/root is the tenant's root site, and only a root site has the root facet.",
        source=f"{API}/site-get",
        broken="the root facet is on every site",
    ),
    documented(
        "SITE-BY-PATH",
        "/sites/{hostname}:/{path} is the site at that server-relative path.",
        source=f"{API}/site-getbypath",
        broken="every path answers the host's root site",
    ),
    documented(
        "SITE-BY-PATH-CONTINUES",
        "A second colon ends the path: /sites/{hostname}:/{path}:/lists lists that site's lists.",
        source=f"{API}/site-getbypath",
        broken="the path and what follows it are read as one path, which answers 404",
    ),
    reported(
        "SITE-BY-PATH-ENCODED",
        "The colon and the slashes of a site path may be percent-encoded, as the SDKs send them (host%3A%2Fsites%2Fx).",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-python/issues/1041",
        broken="the encoded form answers 404",
    ),
    documented(
        "SITE-GET-BY-PATH-FUNCTION",
        "/sites/{hostname}/getByPath(path='…') is the site at that path.",
        source=f"{API}/site-getbypath",
        broken="the function form answers 400 BadRequest",
    ),
    documented(
        "SITE-SEARCH",
        "/sites?search={text} finds the sites whose name or title contains the text.",
        source=f"{API}/site-search",
        broken="the search text is ignored",
    ),
    documented(
        "SITE-GET-ALL",
        "/sites/getAllSites lists every site of the tenant, with or without parentheses.",
        source=f"{API}/site-getallsites",
        broken="the root site is left out",
    ),
    reported(
        "SITE-UNKNOWN",
        'An unknown site answers 404 itemNotFound, "Requested site could not be found".',
        source=f"{GITHUB}/alcionai/corso/blob/main/src/pkg/services/m365/api/graph/errors.go",
        broken="it answers 400 invalidRequest",
    ),
    reported(
        "SITE-UNKNOWN-HOST",
        'A host of another tenant answers 400 invalidRequest, "Invalid hostname for this tenancy".',
        source=f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test",
        broken="it answers 404 itemNotFound",
    ),
    reported(
        "SITE-CONTEXT-ENCODED",
        "@odata.context percent-encodes the commas of a site id.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-dotnet/issues/322",
        broken="the commas stand raw in @odata.context",
    ),
    assumed(
        "SITE-PATH-CASE",
        "A site path is compared without regard to case.",
        because="SharePoint's URLs are case-insensitive everywhere else; no Graph page says it.",
        broken="a path in another case answers 404",
    ),
    documented(
        "SITE-BY-HOST",
        "/sites/{hostname} is the root site of that host.",
        source=f"{API}/site-get",
        broken="a bare host name answers 404",
    ),
    documented(
        "SITE-BY-COLLECTION-GUID",
        "/sites/{site collection guid} is that collection's site.",
        source=f"{API}/resources/site",
        broken="a bare guid answers 404",
    ),
    documented(
        "SITE-SUBSITES",
        "/sites/{id}/sites lists the sites below a site and no other.",
        source=f"{API}/site-list-subsites",
        broken="it lists every site of the tenant",
    ),
    reported(
        "SITE-SUBSITE-GRANT-REFUSED",
        "A grant on a subsite is refused as notSupported.",
        source=f"{GITHUB}/SharePoint/sp-dev-docs/issues/10432",
        broken="a subsite takes grants",
    ),
)
