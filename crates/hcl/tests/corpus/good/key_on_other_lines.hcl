path
"a"
{
capabilities
=
["read"]
}