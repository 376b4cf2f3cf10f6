//! `envward-agent recipes`.

use std::io::{self, Write};

use envward_agent::recipe::{Book, Recipe};

use crate::arguments::{Recipes, What};
use crate::failure::Failure;

pub(crate) fn recipes(arguments: &Recipes) -> Result<u8, Failure> {
    let mut book = Book::own()?;
    if let Some(directory) = &arguments.directory {
        book.add_directory(directory)?;
    }
    let text = match &arguments.what {
        What::List { json: true } => json(&book.iter().collect::<Vec<_>>())?,
        What::List { json: false } => book.iter().map(line).collect(),
        What::Show { id, json: as_json } => {
            let recipe = book.get(id).ok_or_else(|| {
                Failure::new(2, format_args!("there is no recipe `{id}`")).hint("`envward-agent recipes list` has them")
            })?;
            if *as_json { json(recipe)? } else { whole(recipe) }
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| Failure::new(1, error))
}

fn line(recipe: &Recipe) -> String {
    format!("{:26} {:9} {:22} {}\n", recipe.id, recipe.importance.name(), recipe.techniques.join(" "), recipe.title)
}

fn whole(recipe: &Recipe) -> String {
    let mut text = format!(
        "{}  ({}, version {})\n{}\n\nTactic: {} {}\nTechniques: {}\nRoutes: {}\n\n{}\n",
        recipe.id,
        recipe.importance.name(),
        recipe.version,
        recipe.title,
        recipe.tactic.id,
        recipe.tactic.name,
        recipe.techniques.join(", "),
        recipe.when.routes.join(", "),
        recipe.description.trim()
    );
    let (meaning, actions) = (&recipe.implications, &recipe.actions);
    for (place, implication, actions) in [
        ("Build pipelines", &meaning.ci, &actions.ci),
        ("Staging", &meaning.staging, &actions.staging),
        ("Production", &meaning.production, &actions.production),
    ] {
        text.push_str(&format!("\n{place}\n{}\n", implication.trim()));
        for (number, action) in actions.iter().enumerate() {
            text.push_str(&format!("  {}. {action}\n", number + 1));
        }
    }
    text
}
