//! Mounts, routing, tokens, policies and the request pipeline.
