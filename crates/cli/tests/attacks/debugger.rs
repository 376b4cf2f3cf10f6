//! A debugger as an attacker. Apart from the other routes because guests have none.

use super::routes::check;

#[test]
fn memory_image_by_debugger() {
    check("core-debugger");
}
