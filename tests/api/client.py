"""FastAPI's test client. It deprecates httpx, which the product uses, and warns at its import."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["TestClient"]
