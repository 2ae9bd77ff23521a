//! Documents, tickets, design, content, customers, maps.

use super::judge::{hex_token, random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret("notion-token", &[Hint::Opens(&["ntn_"])], Look::From(r"\bntn_[0-9]{9,12}[A-Za-z0-9]{34,40}\b", token)),
    secret("notion-token", &[Hint::Opens(&["secret_"])], Look::From(r"\bsecret_[A-Za-z0-9]{43}\b", random_token)),
    secret(
        "linear-key",
        &[Hint::Opens(&["lin_api_", "lin_oauth_", "lin_wh_"])],
        Look::From(r"\blin_(?:api|oauth|wh)_[A-Za-z0-9]{32,64}", token),
    ),
    secret("airtable-token", &[Hint::Opens(&["pat"])], Look::From(r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", token)),
    secret(
        "figma-token",
        &[Hint::Opens(&["figd_", "figu_", "figo_", "figh_", "figor_", "figoh_"])],
        Look::From(r"\bfig(?:d|u|o|h|or|oh)_[A-Za-z0-9_-]{38,46}", random_token),
    ),
    secret("typeform-token", &[Hint::Exact(&["tfp_"])], Look::From(r"\btfp_[A-Za-z0-9_.=-]{40,59}", random_token)),
    secret("contentful-token", &[Hint::Opens(&["CFPAT-"])], Look::From(r"\bCFPAT-[A-Za-z0-9_-]{43}", token)),
    secret(
        "dropbox-token",
        &[Hint::Opens(&["sl.", "sl.u."])],
        Look::From(r"\bsl\.(?:u\.)?[A-Za-z0-9_-]{120,}={0,2}", random_token),
    ),
    secret(
        "dropbox-token",
        &[Hint::Exact(&["AAAAAAAAAA"])],
        Look::Around(12, r"\b[a-z0-9]{11}AAAAAAAAAA[A-Za-z0-9_=-]{43}\b", token),
    ),
    secret(
        "hubspot-token",
        &[Hint::Opens(&["pat-na", "pat-eu", "pat-ap"])],
        Look::From(
            r"\bpat-(?:na|eu|ap)\d{1,2}-[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}",
            token,
        ),
    ),
    secret(
        "salesforce-token",
        &[Hint::Opens(&["00D"])],
        Look::From(r"\b00D[A-Za-z0-9]{12,15}(?:!|%21)[A-Za-z0-9_.-]{80,120}", token),
    ),
    secret("salesforce-token", &[Hint::Exact(&["5Aep861"])], Look::From(r"\b5Aep861[A-Za-z0-9._]{70,90}", token)),
    secret(
        "salesforce-consumer-key",
        &[Hint::Exact(&["3MVG9"])],
        Look::From(r"\b3MVG9[A-Za-z0-9._-]{77,80}", random_token),
    ),
    secret(
        "mapbox-token",
        &[Hint::Exact(&["sk.eyJ", "tk.eyJ"])],
        Look::From(r"\b[st]k\.eyJ[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{20,}", token),
    ),
    secret(
        "maxmind-key",
        &[Hint::Exact(&["_mmk"])],
        Look::Around(36, r"\b[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b", token),
    ),
    secret("clickup-token", &[Hint::Opens(&["pk_"])], Look::From(r"\bpk_\d{6,10}_[A-Z0-9]{32}\b", token)),
    secret(
        "asana-token",
        &[Hint::Digits(14)],
        Look::Around(2, r"\b[0-2]/\d{13,17}(?:/\d{13,17})?:[a-f0-9]{32}\b", hex_token),
    ),
    secret("trello-token", &[Hint::Opens(&["ATTA"])], Look::From(r"\bATTA[a-f0-9]{64}[A-F0-9]{8}", token)),
    secret("intercom-token", &[Hint::Exact(&["dG9rOj"])], Look::From(r"\bdG9rO[A-Za-z0-9+/]{50,60}=?", random_token)),
    secret("contentstack-token", &[Hint::Opens(&["cs0", "cs1", "cs2"])], Look::From(r"\bcs[a-f0-9]{32}\b", hex_token)),
    secret(
        "storyblok-token",
        &[Hint::Exact(&["tt-"])],
        Look::Around(24, r"\b[A-Za-z0-9]{22}tt-\d{5,7}-[A-Za-z0-9_-]{20}", token),
    ),
    secret("frameio-token", &[Hint::Exact(&["fio-u-"])], Look::From(r"\bfio-u-[A-Za-z0-9=_-]{64}", token)),
    secret("adobe-secret", &[Hint::Opens(&["p8e-", "p8-"])], Look::From(r"\bp8e?-[A-Za-z0-9_-]{32}\b", random_token)),
    secret("intra42-secret", &[Hint::Opens(&["s-s4t2"])], Look::From(r"\bs-s4t2(?:ud|af)-[a-f0-9]{64}", token)),
    secret(
        "sanity-token",
        &[Hint::Opens(&["skA", "skB", "skC", "skD", "skE", "skF"])],
        Look::From(r"\bsk[A-F][A-Za-z0-9]{79,}\b", random_token),
    ),
    secret("samsara-token", &[Hint::Exact(&["samsara_api_"])], Look::From(r"\bsamsara_api_[A-Za-z0-9]{30}", token)),
    secret("telnyx-key", &[Hint::Opens(&["KEY0"])], Look::From(r"\bKEY0[A-F0-9]{30,32}_[A-Za-z0-9]{20,24}", token)),
    secret(
        "ubidots-token",
        &[Hint::Opens(&["BBFF-", "BBUS-"])],
        Look::From(r"\bBB(?:FF|US)-[A-Za-z0-9]{30}\b", random_token),
    ),
    secret(
        "persona-key",
        &[Hint::Opens(&["persona_"])],
        Look::From(r"\bpersona_(?:sandbox|production)_[a-f0-9-]{36}", token),
    ),
    secret("pubnub-key", &[Hint::Exact(&["sec-c-"])], Look::From(r"\bsec-c-[A-Za-z0-9=_-]{36,70}", random_token)),
    secret(
        "ably-key",
        &[Hint::Exact(&["ably"])],
        Look::From(
            r"(?i)ably[^\n]{0,40}?[^A-Za-z0-9]([A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{6,7}:[A-Za-z0-9_-]{40,50})\b",
            random_token,
        ),
    ),
    secret(
        "shortcut-token",
        &[Hint::Opens(&["sct_rw_", "sct_ro_"])],
        Look::From(r"\bsct_r[wo]_[a-z0-9_]+_[A-Za-z0-9_-]{20,}", random_token),
    ),
    secret("canva-secret", &[Hint::Opens(&["cnvca"])], Look::From(r"\bcnvca[A-Za-z0-9_-]{50,60}", random_token)),
    secret("zuplo-key", &[Hint::Opens(&["zpka_"])], Look::From(r"\bzpka_[a-z0-9_]{40,50}\b", random_token)),
    secret("clerk-key", &[Hint::Opens(&["ak_"])], Look::From(r"\bak_[A-Za-z0-9]{32,60}\b", random_token)),
    secret(
        "miro-token",
        &[Hint::Opens(&["eyJtaXJv"])],
        Look::From(r"\beyJtaXJv[A-Za-z0-9-]{10,64}_[A-Za-z0-9_-]{20,64}", token),
    ),
    secret(
        "onfido-token",
        &[Hint::Exact(&["api_live.", "api_live_us.", "api_live_ca.", "api_sandbox."])],
        Look::From(
            r"\bapi_(?:live|sandbox)(?:_(?:us|ca|eu))?\.[A-Za-z0-9_-]{10,80}(?:\.[A-Za-z0-9_-]{20,80})?",
            random_token,
        ),
    ),
    secret("zoho-token", &[Hint::Opens(&["1000."])], Look::From(r"\b1000\.[a-f0-9]{32}\.[a-f0-9]{32}\b", hex_token)),
];
