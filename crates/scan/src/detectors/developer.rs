//! Where code is kept, built and shipped: forges, registries, build servers, infrastructure tools, secret stores.

use super::judge::{LIKELY, PROVEN, SURE, crc32, hex_token, looks_random, random_token, token};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    // Atlassian's tokens end with `=` and a CRC-32 in hex.
    secret(
        "atlassian-token",
        &[Hint::Opens(&["ATATT", "ATCTT", "ATOAT", "ASATT"])],
        Look::From(r"\b(?:ATATT|ATCTT|ATOAT|ASATT)[A-Za-z0-9_-]{61,}(?:=[A-F0-9]{8})?", token),
    ),
    secret(
        "bitbucket-token",
        &[Hint::Opens(&["ATBB"])],
        Look::From(r"\bATBB[A-Za-z0-9]{32}(?:[A-F0-9]{8})?\b", random_token),
    ),
    secret("gitlab-token", &[Hint::Exact(&["GR1348941"])], Look::From(r"\bGR1348941[A-Za-z0-9_-]{20,}", token)),
    secret("gitea-token", &[Hint::Opens(&["gta_", "gto_"])], Look::From(r"\bgt[ao]_[a-z0-9]{40,}\b", random_token)),
    secret("rubygems-key", &[Hint::Exact(&["rubygems_"])], Look::From(r"\brubygems_[a-f0-9]{48}", token)),
    secret("nuget-key", &[Hint::Opens(&["oy2"])], Look::From(r"\boy2[a-z0-9]{43}\b", random_token)),
    secret("docker-token", &[Hint::Opens(&["dckr_"])], Look::From(r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,36}", token)),
    secret("artifactory-key", &[Hint::Opens(&["AKCp"])], Look::From(r"\bAKCp[A-Za-z0-9]{65,75}\b", random_token)),
    // Base64 of `reftkn:`.
    secret("artifactory-key", &[Hint::Exact(&["cmVmdGtuO"])], Look::From(r"\bcmVmdGtuO[A-Za-z0-9]{50,70}\b", token)),
    secret("clojars-token", &[Hint::AnyCase(&["CLOJARS_"])], Look::From(r"(?i)\bCLOJARS_[a-z0-9]{60}\b", random_token)),
    secret(
        "circleci-token",
        &[Hint::Opens(&["CCIPAT_", "CCIPRJ_"])],
        Look::From(r"\bCCIP(?:AT|RJ)_[A-Za-z0-9]{20,24}_[a-f0-9]{40}", token),
    ),
    secret(
        "buildkite-token",
        &[Hint::Opens(&["bkua_", "bkct_", "bkaj_", "bkar_", "bkpt_"])],
        Look::From(r"\bbk(?:ua|ct|aj|ar|pt)_[A-Za-z0-9_-]{30,60}", random_token),
    ),
    secret(
        "sonar-token",
        &[Hint::Opens(&["sqp_", "squ_", "sqa_"])],
        Look::From(r"\bsq[pua]_[a-f0-9]{40}\b", hex_token),
    ),
    secret(
        "sourcegraph-token",
        &[Hint::Opens(&["sgp_", "sgd_", "slk_"])],
        Look::From(
            r"\b(?:sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}|slk_[a-f0-9]{64}|sgd_[a-f0-9]{64})\b",
            hex_token,
        ),
    ),
    secret(
        "snyk-token",
        &[Hint::Exact(&["snyk_"])],
        Look::From(r"\bsnyk_(?:uat|sat|oat)\.[a-f0-9]{8}\.[A-Za-z0-9_.-]{40,}", token),
    ),
    secret(
        "terraform-token",
        &[Hint::Exact(&[".atlasv1."])],
        Look::Around(16, r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}", token),
    ),
    secret(
        "vault-token",
        &[Hint::Opens(&["hvs.", "hvb.", "hvr."])],
        Look::From(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}", token),
    ),
    // Before Vault 1.10. Code has `s.` before every other word, but no word of 24 that looks like this.
    secret(
        "vault-token",
        &[Hint::Word { digits: 2, bytes: 24 }],
        Look::Around(2, r"\b[sbr]\.[A-Za-z0-9]{24}\b", old_vault_token),
    )
    .sifted(|spot| matches!(spot.before(2), [b's' | b'b' | b'r', b'.'])),
    secret("pulumi-token", &[Hint::Opens(&["pul-"])], Look::From(r"\bpul-[a-f0-9]{40}\b", hex_token)),
    secret(
        "doppler-token",
        &[Hint::Exact(&["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."])],
        Look::From(r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}\b", token),
    ),
    secret(
        "infisical-token",
        &[Hint::Opens(&["st."])],
        Look::From(
            r"\bst\.[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\.[a-f0-9]{32}\.[a-f0-9]{32}|\bst\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}",
            token,
        ),
    ),
    secret(
        "one-password-token",
        &[Hint::Exact(&["ops_eyJ"])],
        Look::From(r"\bops_eyJ[A-Za-z0-9+/_-]{150,}={0,3}", token),
    ),
    secret(
        "one-password-key",
        &[Hint::Opens(&["A3-"])],
        Look::From(
            r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}\b",
            random_token,
        ),
    ),
    secret(
        "postman-key",
        &[Hint::Opens(&["PMAK-", "PMAT-"])],
        Look::From(r"\bPMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34}\b|\bPMAT-[A-Z0-9]{26}\b", token),
    ),
    secret("readme-key", &[Hint::Opens(&["rdme_"])], Look::From(r"\brdme_[a-z0-9]{70}", token)),
    secret("prefect-key", &[Hint::Opens(&["pnu_", "pnb_"])], Look::From(r"\bpn[ub]_[A-Za-z0-9]{36}\b", random_token)),
    secret("octopus-key", &[Hint::Opens(&["API-"])], Look::From(r"\bAPI-[A-Z0-9]{25,34}\b", random_token)),
    secret(
        "harness-token",
        &[Hint::Opens(&["pat.", "sat."])],
        Look::From(r"\b[ps]at\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}\b", token),
    ),
    secret("infracost-key", &[Hint::Opens(&["ico-"])], Look::From(r"\bico-[A-Za-z0-9]{32}\b", random_token)),
    secret("openshift-token", &[Hint::Exact(&["sha256~"])], Look::From(r"\bsha256~[A-Za-z0-9_-]{43}", random_token)),
    secret(
        "settlemint-token",
        &[Hint::Opens(&["sm_aat_", "sm_pat_", "sm_sat_"])],
        Look::From(r"\bsm_[aps]at_[A-Za-z0-9]{16}\b", random_token),
    ),
    secret(
        "authress-key",
        &[Hint::Exact(&[".acc_", ".acc-"])],
        Look::Around(
            50,
            r"\b(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}",
            token,
        ),
    ),
    secret(
        "localstack-token",
        &[Hint::Opens(&["ls-"])],
        Look::From(r"\bls-[A-Za-z]{8}-[0-9]{4}-[A-Za-z0-9]{4}-[A-Za-z0-9]{4}-[A-Za-z0-9]{12}\b", token),
    ),
    secret(
        "stackhawk-key",
        &[Hint::Opens(&["hawk."])],
        Look::From(r"\bhawk\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{20}\b", token),
    ),
    secret("unkey-key", &[Hint::Opens(&["unkey_"])], Look::From(r"\bunkey_[A-Za-z0-9]{20,30}\b", random_token)),
    secret("cypress-key", &[Hint::Opens(&["cypress_"])], Look::From(r"\bcypress_[A-Za-z0-9-]{36}\b", random_token)),
    secret("val-town-token", &[Hint::Opens(&["vtwn_"])], Look::From(r"\bvtwn_[A-Za-z0-9]{20,32}\b", random_token)),
    secret(
        "wakatime-key",
        &[Hint::Opens(&["waka_"])],
        Look::From(r"\bwaka_[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}", token),
    ),
    secret(
        "lichess-token",
        &[Hint::Opens(&["lip_", "lio_"])],
        Look::From(r"\bli[po]_[A-Za-z0-9]{20,24}\b", random_token),
    ),
    secret(
        "kubernetes-bootstrap-token",
        &[Hint::AnyCase(&["--token ", "token-secret", "bootstrap", "kubeadm"])],
        Look::From(r"(?i)(?:--token |[a-z-]+[^\n]{0,40}?[^a-z0-9])([a-z0-9]{6}\.[a-z0-9]{16})\b", random_token),
    ),
    // Grafana's service accounts: 32 random letters, and their CRC-32 in hex.
    secret(
        "grafana-token",
        &[Hint::Opens(&["glsa_"])],
        Look::From(r"\bglsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}\b", grafana_token),
    ),
    secret("grafana-token", &[Hint::Exact(&["glc_"])], Look::From(r"\bglc_[A-Za-z0-9+/]{32,400}={0,3}", token)),
    // Base64 of `{"k":"`.
    secret("grafana-token", &[Hint::Exact(&["eyJrIjoi"])], Look::From(r"\beyJrIjoi[A-Za-z0-9+/]{60,400}={0,3}", token)),
    secret("bitbucket-token", &[Hint::Exact(&["BBDC-"])], Look::From(r"\bBBDC-[A-Za-z0-9+/]{32,}={0,2}", random_token)),
    secret(
        "cloudsmith-key",
        &[Hint::Opens(&["csa_"])],
        Look::From(r"\bcsa_[a-f0-9]{30}[A-Za-z0-9]{6}\b", random_token),
    ),
    secret(
        "aikido-key",
        &[Hint::Opens(&["AIK_CI_", "AIK_SECRET_"])],
        Look::From(r"\bAIK_(?:CI|SECRET)_[A-Za-z0-9]{20,64}\b", random_token),
    ),
    secret("devcycle-key", &[Hint::Exact(&["dvc_server_"])], Look::From(r"\bdvc_server_[A-Za-z0-9_]{8,40}", token)),
    secret("ionic-token", &[Hint::Opens(&["ion_"])], Look::From(r"\bion_[A-Za-z0-9]{42}\b", random_token)),
    secret(
        "labelbox-key",
        &[Hint::Opens(&["lbx_", "rma_"])],
        Look::From(r"\b(?:lbx|rma)_[A-Za-z0-9_-]{43}", random_token),
    ),
    secret(
        "mergify-key",
        &[Hint::Exact(&["mergify_application_key_"])],
        Look::From(r"\bmergify_application_key_[A-Za-z0-9_-]{40,200}", token),
    ),
    secret(
        "workato-token",
        &[Hint::Opens(&["wrka"])],
        Look::From(r"\bwrka(?:[a-z]{2})?-eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{40,}", token),
    ),
    secret("thunderstore-token", &[Hint::Opens(&["tss_"])], Look::From(r"\btss_[A-Za-z0-9_-]{20,80}", random_token)),
    secret("proof-key", &[Hint::Opens(&["prf_"])], Look::From(r"\bprf_(?:cli_)?[A-Za-z0-9_-]{20,80}", random_token)),
    secret(
        "gitlab-mail-token",
        &[Hint::Exact(&["incoming+"])],
        Look::From(r"\bincoming\+[A-Za-z0-9._/-]{0,80}?-\d{1,12}-([A-Za-z0-9_-]{20,64})-issue", token),
    ),
];

fn old_vault_token(found: &Found<'_>) -> u8 {
    let before = found.line_before(1);
    let follows_name = before.iter().any(|byte| byte.is_ascii_alphanumeric() || b"._".contains(byte));
    let body = found.secret.get(2..).unwrap_or_default();
    if follows_name || !looks_random(body) || body.iter().filter(|byte| byte.is_ascii_digit()).count() < 2 {
        0
    } else {
        LIKELY
    }
}

fn grafana_token(found: &Found<'_>) -> u8 {
    let body = found.secret.strip_prefix(b"glsa_").unwrap_or_default();
    let (Some(random), Some(sum)) = (body.get(..32), body.get(33..)) else { return 0 };
    if format!("{:08x}", crc32(random)).as_bytes().eq_ignore_ascii_case(sum) { PROVEN } else { token(found).min(SURE) }
}
