//! Whether there is some right under a mount.

use crate::acl;

#[test]
fn any_right_below_a_mount() {
    let read = |path: &str| format!("path \"{path}\" {{ capabilities = [\"read\"] }}\n");
    let deny = |path: &str| format!("path \"{path}\" {{ capabilities = [\"deny\"] }}\n");
    let cases = [
        (read("foo/x"), "foo/", true),
        (read("foo"), "foo/", true),
        (read("fo"), "foo/", false),
        (read("food/x"), "foo/", false),
        (read("fo*"), "foo/", true),
        (read("foo/bar*"), "foo/", true),
        (read("*"), "foo/", true),
        (read("*"), "foo/bar/", true),
        (read("+"), "foo/", true),
        (read("+"), "foo/bar/", false),
        (read("+/*"), "foo/", true),
        (read("+/x"), "foo/", true),
        (read("foo/+/+/*"), "foo/", true),
        (read("foo/+/+/*"), "foo/bar/", true),
        (read("foo/+/+/*"), "foo/bar/bar/baz/", true),
        (read("foo/+/bar/baz"), "foo/bar/bar/baz/", true),
        (read("foo/bar/+/b*"), "foo/bar/bar/baz/", true),
        (read("+/other/x"), "foo/bar/", false),
        (read("bar/+"), "foo/", false),
        (deny("foo/*"), "foo/", false),
        (deny("foo/*") + &read("foo/x"), "foo/", true),
        (read("*") + &deny("foo/*"), "foo/", false),
        (deny("foo/+/x"), "foo/", false),
        ("path \"foo/*\" {}".to_owned(), "foo/", false),
        // A rule for one path below does not hide what another grants beside it.
        (read("*") + "path \"foo/+\" {}", "foo/", true),
        (String::new(), "foo/", false),
        (read("a/+/b"), "", true),
        (read("a"), "", true),
        (deny("*"), "", false),
    ];
    for (text, mount, any) in cases {
        assert_eq!(acl(&[&text]).any_right_below(mount), any, "{text} {mount}");
    }
}
