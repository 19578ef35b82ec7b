"""`pocketflow serve`: folders for MLServer, requests to a server, resources for Kubernetes."""
