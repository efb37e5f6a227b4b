"""The kinds of resource that a deployment is made of: one small module each, all of the same shape (``resource``)."""
