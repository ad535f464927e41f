"""Why no connection could be made, as one sentence that says what to do."""

import re
from typing import Final

import psycopg

from shared.adapters.postgres.address import Address
from shared.adapters.postgres.translation import translate
from shared.core.errors import ConfigurationError, SourceUnavailable, SyncError

# FATAL messages while connecting carry no SQLSTATE in libpq, so their words decide; a server that speaks another
# language gets the last, general sentence.
_REFUSALS: Final = (
    (
        re.compile(r"password authentication failed|no password supplied|authentication failed", re.IGNORECASE),
        "login_refused",
        "the user {user} was refused at {host}:{port}: the password or the token is wrong",
    ),
    (
        re.compile(r'role ".*" does not exist', re.IGNORECASE),
        "login_refused",
        "there is no user {user} at {host}:{port}: create it, or correct the name",
    ),
    (
        re.compile(r"no pg_hba\.conf entry.*(no encryption|SSL off)|SSL connection is required", re.IGNORECASE),
        "tls_required",
        "{host}:{port} accepts encrypted connections only: set the TLS mode to verify-full",
    ),
    (
        re.compile(r"no pg_hba\.conf entry", re.IGNORECASE),
        "login_refused",
        "{host}:{port} has no rule that lets {user} into {dbname} from here: add one to pg_hba.conf or the firewall",
    ),
    (
        re.compile(r"server does not support SSL", re.IGNORECASE),
        "tls_unsupported",
        "{host}:{port} offers no encryption: switch TLS on there (or, on a trusted network only, set the mode disable)",
    ),
    (
        re.compile(r"certificate verify failed|does not match host name|root certificate", re.IGNORECASE),
        "tls_untrusted",
        "the certificate of {host}:{port} was not accepted: its name or its issuer is not the expected one",
    ),
    (
        re.compile(r'database ".*" does not exist', re.IGNORECASE | re.DOTALL),
        "no_database",
        "there is no database {dbname} at {host}:{port}: create it, or correct the name",
    ),
    (
        re.compile(r"permission denied for database", re.IGNORECASE),
        "connect_denied",
        "the user {user} may not connect to {dbname}: grant connect on the database",
    ),
)
_OUTAGES: Final = (
    (
        re.compile(r"failed to resolve host|could not translate host name|Name or service not known", re.IGNORECASE),
        "unknown_host",
        "the host {host} is not known here: correct the name, or let this network resolve it",
    ),
    (
        re.compile(r"Connection refused", re.IGNORECASE),
        "connection_refused",
        "nothing accepts connections at {host}:{port}: start the server there, or correct the port",
    ),
    (
        re.compile(r"too many clients|remaining connection slots|too many connections", re.IGNORECASE),
        "too_many_connections",
        "{host}:{port} has no free connection: raise its limit, or use fewer",
    ),
    (
        re.compile(r"starting up|shutting down|in recovery mode|not yet accepting", re.IGNORECASE),
        "starting_up",
        "the server at {host}:{port} is starting, stopping or recovering: try again in a minute",
    ),
    (
        re.compile(r"timeout expired|timed out", re.IGNORECASE),
        "connect_timeout",
        "{host}:{port} did not answer in time: check the firewall between here and there",
    ),
)


def explain_refusal(error: psycopg.Error, address: Address) -> SyncError:
    """Why no connection could be made, as a sentence: ConfigurationError, or SourceUnavailable where it may pass."""
    said = str(error)
    names = {"user": address.user, "host": address.host, "port": address.port, "dbname": address.dbname}
    for pattern, code, sentence in _REFUSALS:
        if pattern.search(said):
            return ConfigurationError(sentence.format(**names), code=code)
    for pattern, code, sentence in _OUTAGES:
        if pattern.search(said):
            return SourceUnavailable(sentence.format(**names), code=code)
    if getattr(error, "sqlstate", None):
        return translate(error, f"{address.host}:{address.port}/{address.dbname}")
    return SourceUnavailable(
        "no connection to {dbname} at {host}:{port} could be made".format(**names), code="no_connection"
    )
