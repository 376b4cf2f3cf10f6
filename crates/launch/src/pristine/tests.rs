use super::*;

#[test]
fn what_was_passed_to_execve() {
    let (paths, arguments) = ([c"/a/x", c"/b/x"], [c"x", c"-v"]);
    let direct = Given::new(Executed::Path(1), &paths, &arguments, &[c"A=1"]);
    assert_eq!((direct.path, &*direct.arguments), (c"/b/x", &[&b"x"[..], b"-v"][..]));
    let shell = Given::new(Executed::Shell(0), &paths, &arguments, &[]);
    assert_eq!((shell.path, &*shell.arguments), (c"/bin/sh", &[&b"/bin/sh"[..], b"/a/x", b"-v"][..]));
}

#[test]
fn our_own_cleared_bytes_are_where_the_headers_say() {
    // The kernel's view of this process, against the functions that predict it.
    let auxv = fs::read("/proc/self/auxv").unwrap();
    let words: Vec<u64> = auxv.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let auxiliary = |key| words.chunks_exact(2).find(|pair| pair[0] == key).map_or(0, |pair| pair[1]);
    let object =
        Object::open(Path::new("/proc/self/exe"), |layout| auxiliary(AT_ENTRY).wrapping_sub(layout.entry)).unwrap();
    let maps = maps::parse(&fs::read("/proc/self/maps").unwrap()).unwrap();
    let cleared = object.cleared(&maps);
    assert_eq!(cleared.len(), 1, "one part of our own file ends with empty data");
    let (address, bytes) = &cleared[0];
    assert_eq!((address + bytes.len()) % page_size(), 0);
    let behind = maps.iter().find(|mapping| mapping.start == address + bytes.len());
    assert!(behind.is_none_or(|mapping| mapping.kind == Kind::Anonymous), "empty data go on there");
}
