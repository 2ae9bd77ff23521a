//! `bartizan llm`: traffic of language models, for agents that run outside of a box.

use std::path::Path;
use std::process::ExitCode;

use bartizan_model::LlmApi;
use clap::{Args, Subcommand, ValueEnum};

use crate::home::Home;
use crate::output::Style;
use crate::policies::Choice;
use crate::run::llm_proxy::{self, Wanted};
use crate::secrets::Asked;

/// Traffic of language models
#[derive(Subcommand)]
pub enum Llm {
    /// Stand in front of a server of models, for agents that only take a base URL
    Proxy(Proxy),
}

/// Stand in front of a server of models, for agents that only take a base URL
///
/// Prints the base URL to give to the agent, then serves until Ctrl-C. Every question is decided by policy
/// (`models`, `budgets`, `content`, `llm`) and recorded before it is sent, every answer is looked at as it streams
/// (`prompts.model`), and calls of tools in it are decided where `llm: { tool_calls: true }` says so. The policy
/// must let the server be reached:
///
///   net: { allow: [{ host: api.openai.com, llm: openai }] }
///   models: { allow: ["openai/gpt-*"] }
///
/// Unlike in a box, nothing keeps the agent from going past it: give the agent no key of its own, and lend the
/// proxy yours with --secret.
#[derive(Args)]
pub struct Proxy {
    /// The server, e.g. https://api.anthropic.com or http://127.0.0.1:11434
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The protocol it speaks [default: told by the URL, else openai]
    #[arg(long, value_enum, value_name = "NAME")]
    api: Option<Api>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// Listen for other machines too: whoever reaches the address asks models in your name
    #[arg(long)]
    expose: bool,
    #[command(flatten)]
    choice: Choice,
    /// What to call whoever uses it, in the ledger
    #[arg(long, value_name = "NAME", default_value = "llm-proxy")]
    name: String,
    /// Lend it a secret: a placeholder is printed for the agent to use as its key, and the value is put in on its way out
    /// where the secret is bound to
    #[arg(long = "secret", value_name = "NAME[=VARIABLE]")]
    secrets: Vec<Asked>,
    /// Lend it a secret that ends with it: its value is your own variable of this name, and is kept nowhere
    #[arg(long = "ephemeral-secret", value_name = "NAME[=VARIABLE]")]
    ephemeral_secrets: Vec<Asked>,
    /// Print what it serves as one JSON object
    #[arg(long)]
    json: bool,
}

/// A protocol, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Api {
    /// OpenAI's chat completions and responses, as many servers speak them
    Openai,
    /// Anthropic's messages
    Anthropic,
    /// Ollama's own, and OpenAI's beside it
    Ollama,
}

impl From<Api> for LlmApi {
    fn from(api: Api) -> Self {
        match api {
            Api::Openai => Self::Openai,
            Api::Anthropic => Self::Anthropic,
            Api::Ollama => Self::Ollama,
        }
    }
}

impl Llm {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        match self {
            Self::Proxy(proxy) => proxy.run(&home, style),
        }
    }
}

impl Proxy {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let ephemeral = self.ephemeral_secrets.into_iter().map(|asked| Asked { is_ephemeral: true, ..asked });
        let wanted = Wanted {
            upstream: self.upstream,
            api: self.api.map(LlmApi::from),
            listen: self.listen,
            expose: self.expose,
            choice: self.choice,
            name: self.name,
            secrets: self.secrets.into_iter().chain(ephemeral).collect(),
            json: self.json,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(llm_proxy::serve(home, style, wanted));
        runtime.shutdown_background();
        ended.map(|()| ExitCode::SUCCESS)
    }
}
