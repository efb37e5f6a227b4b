"""Messages of the methods that are called over HTTP alone: for these there is no client library that has them."""
