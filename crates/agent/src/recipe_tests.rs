use super::*;
use crate::event::tests::record;

fn own() -> Book {
    Book::own().unwrap()
}

const GOOD: &str = OWN[1].1;

#[test]
fn ours_are_recipes_and_have_the_names_of_their_files() {
    for (recipe, (name, _)) in own().iter().zip(OWN) {
        assert_eq!(recipe.id, *name);
        assert!(recipe.proof.is_some(), "{name} has no proof");
        assert!(!recipe.actions.ci.is_empty() && !recipe.actions.staging.is_empty(), "{name}");
        assert!(!recipe.actions.production.is_empty(), "{name}");
    }
}

#[test]
fn every_route_has_a_recipe_of_ours() {
    for route in Route::ALL {
        let record = Record { route: *route, ..record() };
        assert!(own().find(&record).is_some(), "{}", route.name());
    }
}

#[test]
fn the_special_recipe_comes_before_the_general_one() {
    let mut record = record();
    assert_eq!(own().find(&record).unwrap().id, "environ_read_from_procfs");
    record.target.as_mut().unwrap().exe.name = "Runner.Worker".to_owned();
    assert_eq!(own().find(&record).unwrap().id, "ci_runner_memory_read");
    record.target = None;
    assert_eq!(own().find(&record).unwrap().id, "environ_read_from_procfs");
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (from, to, expected) in [
        ("\"T1552.001\"", "\"T155\"", "mine.toml: techniques: `T155` is not like T1003 or T1003.007"),
        ("\"TA0006\"", "\"T6\"", "mine.toml: tactic: `T6` is not TA and four digits"),
        ("[\"environ\"]", "[]", "mine.toml: when.routes: none is named"),
        ("[\"environ\"]", "[\"enviro\"]", "mine.toml: when.routes: there is no `enviro`; there are environ, mem"),
        ("id = \"env", "id = \"Env", "mine.toml: id: `Environ_read_from_procfs` has to consist"),
        ("title =", "titel =", "unknown field `titel`"),
        ("importance = \"high\"", "importance = \"huge\"", "unknown variant `huge`"),
        ("[when]", "[when", "mine.toml: TOML parse error at line"),
        ("routes = [\"environ\"]", "routes = [\"environ\"]\nverdicts = [\"no\"]", "when.verdicts: there is no `no`"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let error = Recipe::parse("mine.toml", &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_directory_replaces_and_adds_or_changes_nothing() {
    let room = tempfile::tempdir().unwrap();
    let mut book = own();
    fs::write(room.path().join("a.toml"), GOOD.replace("version = 1", "version = 2")).unwrap();
    fs::write(room.path().join("b.toml"), GOOD.replace("id = \"env", "id = \"my_env")).unwrap();
    fs::write(room.path().join("note.txt"), "no recipe").unwrap();
    book.add_directory(room.path()).unwrap();
    assert_eq!(book.get("environ_read_from_procfs").unwrap().version, 2);
    assert_eq!(book.iter().count(), OWN.len() + 1);
    let before = book.clone();
    fs::write(room.path().join("c.toml"), "id = 3").unwrap();
    assert!(book.add_directory(room.path()).is_err());
    fs::write(room.path().join("c.toml"), GOOD).unwrap();
    assert!(book.add_directory(room.path()).unwrap_err().to_string().contains("same id"));
    assert!(book.add_directory(&room.path().join("none")).is_err());
    assert_eq!(book, before);
}
