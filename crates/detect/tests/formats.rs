//! Every format is found in made-up tokens of its shape, alone and among other text, and is not
//! found when a character is missing or the checksum is wrong. No token here was ever one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation ends the test")]

use envward_detect::{Confidence, Evidence, formats, text, variable};

/// Fills a shape: `{c*n}` is `n` random characters of a class; `d` digits, `x` hexadecimal,
/// `l` lower case and digits, `u` upper case and digits, `b` base 32, `a` letters, `w` letters and
/// digits, `W` the same and `_-`.
fn fill(shape: &str, seed: &mut u64) -> String {
    let mut out = String::new();
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (hole, after) = after.split_once('}').unwrap();
        let (class, count) = hole.split_once('*').unwrap();
        let alphabet: Vec<u8> = match class {
            "d" => (b'0'..=b'9').collect(),
            "x" => b"0123456789abcdef".to_vec(),
            "l" => (b'0'..=b'9').chain(b'a'..=b'z').collect(),
            "u" => (b'0'..=b'9').chain(b'A'..=b'Z').collect(),
            "b" => (b'A'..=b'Z').chain(b'2'..=b'7').collect(),
            "a" => (b'a'..=b'z').chain(b'A'..=b'Z').collect(),
            "w" => (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z').collect(),
            "W" => (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z').chain(*b"_-").collect(),
            other => panic!("no class {other}"),
        };
        for _ in 0..count.parse().unwrap() {
            // xorshift64
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            out.push(char::from(alphabet[(*seed % alphabet.len() as u64) as usize]));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

const SHAPES: &[(&str, &str)] = &[
    ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
    ("private-key", "-----BEGIN PRIVATE KEY-----"),
    ("private-key", "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("private-key", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
    ("encrypted-private-key", "-----BEGIN ENCRYPTED PRIVATE KEY-----"),
    ("putty-private-key", "PuTTY-User-Key-File-3: ssh-ed25519"),
    ("github-token", "ghp_{w*36}"),
    ("github-token", "ghs_{w*36}"),
    ("github-token", "github_pat_{w*22}_{w*59}"),
    ("gitlab-token", "glpat-{W*20}"),
    ("gitlab-token", "glrt-{W*20}"),
    ("gitlab-token", "GR1348941{W*20}"),
    ("npm-token", "npm_{w*36}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{W*80}"),
    ("rubygems-token", "rubygems_{x*48}"),
    ("crates-io-token", "cio{w*32}"),
    ("nuget-token", "oy2{l*43}"),
    ("docker-token", "dckr_pat_{W*27}"),
    ("bitbucket-token", "ATBB{w*32}"),
    ("atlassian-token", "ATATT3{W*180}={x*8}"),
    ("aws-access-key-id", "AKIA{b*16}"),
    ("aws-access-key-id", "ASIA{b*16}"),
    ("aws-bedrock-key", "ABSK{w*128}=="),
    ("google-api-key", "AIza{W*35}"),
    ("google-oauth-secret", "GOCSPX-{W*28}"),
    ("google-oauth-token", "ya29.{W*60}"),
    ("azure-client-secret", "{w*3}8Q~{w*33}"),
    ("azure-storage-key", "AccountKey={w*86}=="),
    ("azure-shared-access-key", "SharedAccessKey={w*43}="),
    ("digitalocean-token", "dop_v1_{x*64}"),
    ("heroku-token", "HRKU-{W*58}"),
    ("alibaba-access-key-id", "LTAI{w*20}"),
    ("fly-token", "FlyV1 fm2_{w*80}"),
    ("netlify-token", "nfp_{w*36}"),
    ("supabase-token", "sbp_{x*40}"),
    ("planetscale-token", "pscale_tkn_{w*43}"),
    ("databricks-token", "dapi{x*32}"),
    ("tailscale-key", "tskey-auth-{w*12}-{w*32}"),
    ("vault-token", "hvs.{W*90}"),
    ("terraform-token", "{w*14}.atlasv1.{W*67}"),
    ("doppler-token", "dp.pt.{w*43}"),
    ("1password-token", "ops_eyJ{W*400}"),
    ("pulumi-token", "pul-{x*40}"),
    ("slack-token", "xoxb-{d*12}-{d*12}-{w*24}"),
    ("slack-token", "xapp-1-{u*11}-{d*13}-{x*64}"),
    ("slack-webhook", "https://hooks.slack.com/services/T{u*10}/B{u*10}/{w*24}"),
    ("discord-webhook", "https://discord.com/api/webhooks/{d*18}/{W*68}"),
    ("telegram-bot-token", "{d*10}:AA{W*33}"),
    ("sendgrid-key", "SG.{W*22}.{W*43}"),
    ("mailgun-key", "key-{x*32}"),
    ("mailchimp-key", "{x*32}-us12"),
    ("twilio-key", "SK{x*32}"),
    ("stripe-key", "sk_live_{w*24}"),
    ("stripe-key", "rk_test_{w*24}"),
    ("stripe-webhook-secret", "whsec_{w*32}"),
    ("square-token", "sq0atp-{W*22}"),
    ("shopify-token", "shpat_{x*32}"),
    ("anthropic-key", "sk-ant-api03-{W*95}"),
    ("openai-key", "sk-proj-{W*120}"),
    ("openai-key", "sk-{w*20}T3BlbkFJ{w*20}"),
    ("huggingface-token", "hf_{a*34}"),
    ("replicate-token", "r8_{w*37}"),
    ("groq-key", "gsk_{w*52}"),
    ("grafana-token", "glsa_{w*32}_{x*8}"),
    ("grafana-token", "glc_{w*80}="),
    ("new-relic-key", "NRAK-{u*27}"),
    ("sentry-token", "sntrys_{w*80}"),
    ("dynatrace-token", "dt0c01.{u*24}.{u*64}"),
    ("pagerduty-key", "pdus+_{W*30}"),
    ("postman-key", "PMAK-{x*24}-{x*34}"),
    ("linear-key", "lin_api_{w*40}"),
    ("notion-token", "ntn_{w*46}"),
    ("figma-token", "figd_{W*40}"),
    ("airtable-token", "pat{w*14}.{x*64}"),
    ("json-web-token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{W*40}.{W*43}"),
    ("bearer-token", "Authorization: Bearer {w*40}"),
    ("basic-credentials", "Authorization: Basic {w*40}="),
    ("password-hash", "$2b$12${w*53}"),
];

#[test]
fn every_format_is_found_alone_and_among_other_text() {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for (kind, shape) in SHAPES {
        for _ in 0..20 {
            let token = fill(shape, &mut seed);
            for text in [token.clone(), format!("x = \"{token}\";"), format!("A={token} b")] {
                let found = text::detect(text.as_bytes(), text::Syntax::Code);
                let hit = found.iter().find(|found| found.detection.kind == *kind);
                assert!(hit.is_some(), "{kind}: {shape}: {found:?}");
            }
            let string = format!("SOME_NAME={token}");
            assert!(variable::detect(string.as_bytes()).is_some(), "{kind}");
        }
    }
}

#[test]
fn every_kind_of_the_catalogue_has_an_example() {
    // Those with a checksum of which examples are made by its own tests.
    let elsewhere = ["age-secret-key"];
    for (kind, _) in formats() {
        assert!(elsewhere.contains(&kind) || SHAPES.iter().any(|(known, _)| *known == kind), "{kind}");
    }
}

#[test]
fn a_shape_with_a_character_missing_is_not_found() {
    let mut seed = 0x1234_5678_9abc_def1;
    for (kind, shape) in SHAPES {
        // Runs of one length only.
        if !["aws-access-key-id", "google-api-key", "rubygems-token", "crates-io-token", "linear-key"].contains(kind) {
            continue;
        }
        let mut token = fill(shape, &mut seed);
        token.pop();
        let found = text::detect(token.as_bytes(), text::Syntax::Code);
        assert!(found.iter().all(|found| found.detection.kind != *kind), "{kind}: {found:?}");
    }
}

/// The published example of GitHub's own format, and one that this project made up for npm; both
/// have a checksum that is right.
#[test]
fn checksums_raise_the_confidence() {
    // Split, so that no scanner, ours included, takes this file for a leak.
    let right = ["ghp_zQWBuTSOoRi4A9spHcVY5", "ncnsDkxkJ0mLq17"].concat();
    let found = variable::detect(right.as_bytes()).unwrap();
    assert_eq!((found.kind, found.confidence, found.evidence), ("github-token", Confidence::High, Evidence::Checksum));
    let wrong = right.replace("zQWB", "zQWC");
    let found = variable::detect(wrong.as_bytes()).unwrap();
    assert_eq!((found.kind, found.confidence, found.evidence), ("github-token", Confidence::Medium, Evidence::Format));
}

#[test]
fn an_age_key_is_found_by_its_checksum() {
    // The example of the age specification's README, with its checksum.
    let right = ["AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUV", "SFCWCM02D8GEWQ72PVQ2Y5J33"].concat();
    let found = variable::detect(format!("X={right}").as_bytes()).unwrap();
    assert_eq!((found.kind, found.evidence), ("age-secret-key", Evidence::Checksum));
    let wrong = right.replace("GQ97", "GQ98");
    assert!(variable::detect(wrong.as_bytes()).is_none_or(|found| found.kind != "age-secret-key"));
}

#[test]
fn placeholders_are_no_tokens() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk_live_000000000000000000000000",
        "glpat-your-token-goes-here-please",
        "AIzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(text::detect(text.as_bytes(), text::Syntax::Code), [], "{text}");
    }
}
