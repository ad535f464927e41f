"""Where the Functions host finds the app. Import, build, name it `app`: nothing else belongs here."""

from functions.app import build

app = build()
