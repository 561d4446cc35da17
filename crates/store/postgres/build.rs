//! A migration that is added has to be embedded: the macro that does it can't watch a directory.

fn main() {
    println!("cargo::rerun-if-changed=../../../migrations/postgres");
}
