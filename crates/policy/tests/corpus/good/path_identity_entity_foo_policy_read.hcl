path "{{identity.entity.foo}}" {policy="read"}
