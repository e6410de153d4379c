path "a" {subscribe_event_types=["*"]}
