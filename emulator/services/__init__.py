"""One module per API, each a class whose public methods are the API's RPCs (see ``emulator.rpc``)."""
