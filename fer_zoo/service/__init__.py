"""Predictions over HTTP: ``fer-zoo serve``. The extra ``serve`` has what this needs.

The way of a request: ``app`` has the routes and says no to strangers; ``uploads`` reads the body
within the bounds of ``limits`` and takes the picture out of it; ``engine`` reads pictures and finds
faces in a few threads; ``batching`` collects the faces of all clients for the model; ``answers``
is the JSON that comes back. ``metrics`` counts, and ``server`` listens.
"""
