//! The formats that are known. Written from the vendors' public descriptions of their own tokens.

use crate::Confidence;
use crate::Confidence::{High, Low, Medium};
use crate::format::Check::{Bech32, Crc32Base62, Crc32Hex, Marker, Plain, TokenHeader};
use crate::format::Class::{
    AnyHex, Base32, Base62, Base64, Base64Url, Digit, Graphic, Hex, Letter, Lower, Unreserved, Upper,
};
use crate::format::Part::{Either, Maybe, Run, Text};
use crate::format::{Check, Format, Part};

const fn format(kind: &'static str, parts: &'static [Part], check: Check, confidence: Confidence) -> Format {
    Format { kind, parts, check, confidence }
}

/// No end in sight.
const MANY: usize = 16 * 1024;

/// In the order in which they are tried at one place.
pub(crate) const FORMATS: &[Format] = &[
    // Keys in armour. The beginning is enough.
    format(
        "private-key",
        &[
            Text("-----BEGIN "),
            Either(&["RSA ", "EC ", "DSA ", "OPENSSH ", "SSH2 ENCRYPTED ", "ANY ", ""]),
            Either(&["PRIVATE KEY-----"]),
        ],
        Marker,
        High,
    ),
    format("private-key", &[Text("-----BEGIN PGP PRIVATE KEY BLOCK-----")], Marker, High),
    format("encrypted-private-key", &[Text("-----BEGIN ENCRYPTED PRIVATE KEY-----")], Marker, Medium),
    format("putty-private-key", &[Text("PuTTY-User-Key-File-"), Run(Digit, 1, 1), Text(": ")], Marker, High),
    format("age-secret-key", &[Text("AGE-SECRET-KEY-1"), Run(Upper, 58, 58)], Bech32, High),
    format("age-secret-key", &[Text("AGE-SECRET-KEY-PQ-1"), Run(Upper, 58, MANY)], Bech32, High),
    // Code hosts and package registries.
    format(
        "github-token",
        &[Either(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]), Run(Base62, 36, 36)],
        Crc32Base62,
        High,
    ),
    // Of the right shape, with a checksum that is not right: mistyped, or made up.
    format("github-token", &[Either(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]), Run(Base62, 36, 255)], Plain, Medium),
    format("github-token", &[Text("github_pat_"), Run(Base62, 22, 22), Text("_"), Run(Base62, 59, 59)], Plain, High),
    format(
        "gitlab-token",
        &[
            Either(&[
                "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glsoat-", "glimt-", "glagent-",
                "glwt-", "glffct-", "gloas-",
            ]),
            Run(Unreserved, 20, 320),
        ],
        Plain,
        High,
    ),
    format("gitlab-token", &[Text("GR1348941"), Run(Base64Url, 20, 20)], Plain, High),
    format("npm-token", &[Text("npm_"), Run(Base62, 36, 36)], Crc32Base62, High),
    format("npm-token", &[Text("npm_"), Run(Base62, 36, 36)], Plain, Medium),
    // A macaroon of pypi.org, and of test.pypi.org.
    format(
        "pypi-token",
        &[Text("pypi-"), Either(&["AgEIcHlwaS5vcmc", "AgENdGVzdC5weXBpLm9yZw"]), Run(Base64Url, 50, MANY)],
        Plain,
        High,
    ),
    format("rubygems-token", &[Text("rubygems_"), Run(Hex, 48, 48)], Plain, High),
    format("crates-io-token", &[Text("cio"), Run(Base62, 32, 32)], Plain, High),
    format("nuget-token", &[Text("oy2"), Run(Lower, 43, 43)], Plain, Medium),
    format("docker-token", &[Either(&["dckr_pat_", "dckr_oat_"]), Run(Base64Url, 27, 64)], Plain, High),
    format("bitbucket-token", &[Text("ATBB"), Run(Base62, 32, 32)], Plain, Medium),
    format(
        "atlassian-token",
        &[Text("ATATT3"), Run(Base64Url, 150, 250), Text("="), Run(AnyHex, 8, 8)],
        Crc32Hex,
        High,
    ),
    format("atlassian-token", &[Text("ATATT3"), Run(Base64Url, 150, 250), Text("="), Run(AnyHex, 8, 8)], Plain, Medium),
    // Clouds.
    format("aws-access-key-id", &[Either(&["AKIA", "ASIA", "ABIA", "ACCA"]), Run(Base32, 16, 16)], Plain, High),
    format("aws-bedrock-key", &[Text("ABSK"), Run(Base64, 100, 260), Maybe("="), Maybe("=")], Plain, High),
    format("google-api-key", &[Text("AIza"), Run(Base64Url, 35, 35)], Plain, High),
    format("google-oauth-secret", &[Text("GOCSPX-"), Run(Base64Url, 28, 28)], Plain, High),
    format("google-oauth-token", &[Text("ya29."), Run(Base64Url, 30, MANY)], Plain, High),
    format(
        "azure-client-secret",
        &[Run(Unreserved, 3, 3), Run(Digit, 1, 1), Text("Q~"), Run(Unreserved, 31, 34)],
        Plain,
        High,
    ),
    format("azure-storage-key", &[Text("AccountKey="), Run(Base64, 86, 86), Text("==")], Plain, High),
    format("azure-shared-access-key", &[Text("SharedAccessKey="), Run(Base64, 43, 43), Text("=")], Plain, High),
    format("digitalocean-token", &[Either(&["dop_v1_", "doo_v1_", "dor_v1_"]), Run(Hex, 64, 64)], Plain, High),
    format("heroku-token", &[Text("HRKU-"), Run(Base64Url, 36, 64)], Plain, High),
    format("alibaba-access-key-id", &[Text("LTAI"), Run(Base62, 20, 20)], Plain, High),
    format(
        "fly-token",
        &[Text("FlyV1 fm"), Run(Digit, 1, 1), Run(Base64Url, 1, 3), Run(Graphic, 50, MANY)],
        Plain,
        High,
    ),
    format("netlify-token", &[Text("nfp_"), Run(Base62, 36, 36)], Plain, High),
    format("supabase-token", &[Text("sbp_"), Run(Hex, 40, 40)], Plain, High),
    format("planetscale-token", &[Either(&["pscale_tkn_", "pscale_pw_"]), Run(Unreserved, 32, 64)], Plain, High),
    format("databricks-token", &[Text("dapi"), Run(Hex, 32, 32)], Plain, High),
    format(
        "tailscale-key",
        &[Text("tskey-"), Run(Letter, 3, 12), Text("-"), Run(Base62, 8, 30), Text("-"), Run(Base62, 20, 64)],
        Plain,
        High,
    ),
    // Keepers of secrets.
    format("vault-token", &[Either(&["hvs.", "hvb.", "hvr."]), Run(Base64Url, 24, 400)], Plain, High),
    format("terraform-token", &[Run(Base62, 14, 14), Text(".atlasv1."), Run(Base64Url, 60, 80)], Plain, High),
    format(
        "doppler-token",
        &[Text("dp."), Either(&["pt.", "st.", "sa.", "scim.", "audit.", "ct."]), Run(Unreserved, 40, 80)],
        Plain,
        High,
    ),
    format("1password-token", &[Text("ops_eyJ"), Run(Base64Url, 200, MANY), Maybe("="), Maybe("=")], Plain, High),
    format("pulumi-token", &[Text("pul-"), Run(Hex, 40, 40)], Plain, High),
    // Conversation.
    format(
        "slack-token",
        &[
            Either(&[
                "xoxb-",
                "xoxp-",
                "xoxa-",
                "xoxr-",
                "xoxs-",
                "xoxe-",
                "xoxc-",
                "xoxd-",
                "xoxe.xoxb-",
                "xoxe.xoxp-",
            ]),
            Run(Base64Url, 20, 300),
        ],
        Plain,
        High,
    ),
    format(
        "slack-token",
        &[
            Text("xapp-"),
            Run(Digit, 1, 1),
            Text("-"),
            Run(Upper, 8, 16),
            Text("-"),
            Run(Digit, 8, 16),
            Text("-"),
            Run(Lower, 32, 80),
        ],
        Plain,
        High,
    ),
    format(
        "slack-webhook",
        &[
            Text("https://hooks.slack.com/"),
            Either(&["services/", "workflows/", "triggers/"]),
            Run(Base62, 6, 16),
            Text("/"),
            Run(Graphic, 20, 100),
        ],
        Plain,
        High,
    ),
    format(
        "discord-webhook",
        &[
            Either(&["https://discord.com/api/webhooks/", "https://discordapp.com/api/webhooks/"]),
            Run(Digit, 17, 20),
            Text("/"),
            Run(Base64Url, 60, 80),
        ],
        Plain,
        High,
    ),
    format("telegram-bot-token", &[Run(Digit, 8, 10), Text(":AA"), Run(Base64Url, 33, 33)], Plain, High),
    format("sendgrid-key", &[Text("SG."), Run(Base64Url, 22, 22), Text("."), Run(Base64Url, 43, 43)], Plain, High),
    format("mailgun-key", &[Text("key-"), Run(Hex, 32, 32)], Plain, Medium),
    format("mailchimp-key", &[Run(Hex, 32, 32), Text("-us"), Run(Digit, 1, 2)], Plain, High),
    format("twilio-key", &[Text("SK"), Run(Hex, 32, 32)], Plain, Medium),
    // Payment and shops.
    format("stripe-key", &[Either(&["sk_live_", "rk_live_"]), Run(Base62, 16, 250)], Plain, High),
    format("stripe-key", &[Either(&["sk_test_", "rk_test_"]), Run(Base62, 16, 250)], Plain, Medium),
    format("stripe-webhook-secret", &[Text("whsec_"), Run(Base64, 32, 64)], Plain, High),
    format("square-token", &[Either(&["sq0atp-", "sq0csp-"]), Run(Base64Url, 22, 60)], Plain, High),
    format("shopify-token", &[Either(&["shpat_", "shpca_", "shppa_", "shpss_"]), Run(AnyHex, 32, 32)], Plain, High),
    // Models.
    format("anthropic-key", &[Text("sk-ant-"), Run(Lower, 3, 8), Text("-"), Run(Base64Url, 80, 128)], Plain, High),
    format("openai-key", &[Either(&["sk-proj-", "sk-svcacct-", "sk-admin-"]), Run(Base64Url, 40, 250)], Plain, High),
    format("openai-key", &[Text("sk-"), Run(Base62, 20, 20), Text("T3BlbkFJ"), Run(Base62, 20, 20)], Plain, High),
    format("huggingface-token", &[Text("hf_"), Run(Letter, 34, 34)], Plain, High),
    format("replicate-token", &[Text("r8_"), Run(Base62, 37, 37)], Plain, High),
    format("groq-key", &[Text("gsk_"), Run(Base62, 52, 52)], Plain, High),
    // Watching and managing.
    format("grafana-token", &[Text("glsa_"), Run(Base62, 32, 32), Text("_"), Run(AnyHex, 8, 8)], Plain, High),
    format("grafana-token", &[Text("glc_"), Run(Base64, 32, 400), Maybe("="), Maybe("=")], Plain, High),
    format("new-relic-key", &[Either(&["NRAK-", "NRJS-", "NRII-"]), Run(Base64Url, 19, 40)], Plain, High),
    format("sentry-token", &[Either(&["sntrys_", "sntryu_"]), Run(Graphic, 40, 400)], Plain, High),
    format(
        "dynatrace-token",
        &[
            Text("dt0"),
            Run(Letter, 1, 1),
            Run(Digit, 2, 2),
            Text("."),
            Run(Upper, 24, 24),
            Text("."),
            Run(Upper, 64, 64),
        ],
        Plain,
        High,
    ),
    format("pagerduty-key", &[Text("pdus+_"), Run(Base64Url, 20, 60)], Plain, Medium),
    format("postman-key", &[Text("PMAK-"), Run(Hex, 24, 24), Text("-"), Run(Hex, 34, 34)], Plain, High),
    format("linear-key", &[Text("lin_api_"), Run(Base62, 40, 40)], Plain, High),
    format("notion-token", &[Text("ntn_"), Run(Base62, 43, 50)], Plain, High),
    format("figma-token", &[Either(&["figd_", "figo_"]), Run(Base64Url, 30, 60)], Plain, High),
    format("airtable-token", &[Text("pat"), Run(Base62, 14, 14), Text("."), Run(Hex, 64, 64)], Plain, High),
    // What travels in headers.
    format(
        "json-web-token",
        &[
            Text("eyJ"),
            Run(Base64Url, 10, MANY),
            Text(".eyJ"),
            Run(Base64Url, 8, MANY),
            Text("."),
            Run(Base64Url, 20, MANY),
        ],
        TokenHeader,
        High,
    ),
    format(
        "bearer-token",
        &[
            Either(&[
                "Authorization: Bearer ",
                "authorization: bearer ",
                "authorization: Bearer ",
                "Authorization: bearer ",
                "Authorization: Token ",
                "Authorization: token ",
            ]),
            Run(Graphic, 12, MANY),
        ],
        Plain,
        High,
    ),
    format(
        "basic-credentials",
        &[
            Either(&[
                "Authorization: Basic ",
                "authorization: Basic ",
                "authorization: basic ",
                "Authorization: basic ",
            ]),
            Run(Base64, 4, MANY),
            Maybe("="),
            Maybe("="),
        ],
        Plain,
        High,
    ),
    format(
        "password-hash",
        &[Either(&["$2a$", "$2b$", "$2y$"]), Run(Digit, 2, 2), Text("$"), Run(Unreserved, 53, 53)],
        Plain,
        Low,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words_in_lower_case() {
        for format in FORMATS {
            assert!(format.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            assert!(!format.parts.is_empty());
        }
    }

    #[test]
    fn no_alternative_hides_a_later_one() {
        for format in FORMATS {
            for part in format.parts {
                let Either(texts) = part else { continue };
                for (index, text) in texts.iter().enumerate() {
                    for later in &texts[index + 1..] {
                        assert!(!later.starts_with(text), "{}: {text} hides {later}", format.kind);
                    }
                }
            }
        }
    }
}
