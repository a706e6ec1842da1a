"""The official conformance kits, run against nodes set up only by what every user has: settings file and operator API."""
