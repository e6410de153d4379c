path "{{x}}" {policy="read"}
