//! Values of the wire, in their spelling on the command line.

use clap::ValueEnum;
use toolweaver_contracts::{Detail, Shape, ToolType};

/// Tool type, on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum TypeName {
    McpWorker,
    Function,
    CodeExec,
}

impl From<TypeName> for ToolType {
    fn from(name: TypeName) -> Self {
        match name {
            TypeName::McpWorker => Self::McpWorker,
            TypeName::Function => Self::Function,
            TypeName::CodeExec => Self::CodeExec,
        }
    }
}

/// Level of detail of results, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DetailName {
    /// Names and scores
    Name,
    /// Also the description
    Summary,
    /// Also the whole tool
    Schema,
}

impl From<DetailName> for Detail {
    fn from(name: DetailName) -> Self {
        match name {
            DetailName::Name => Self::Name,
            DetailName::Summary => Self::Summary,
            DetailName::Schema => Self::Schema,
        }
    }
}

/// Tool format of a vendor or protocol, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ShapeName {
    /// References of Anthropic's tool search: names only
    AnthropicToolReference,
    /// Tool definitions of Anthropic's Messages API
    AnthropicTool,
    /// Function definitions of OpenAI's Chat Completions API
    OpenaiFunction,
    /// Tools of the Model Context Protocol
    McpTool,
}

impl From<ShapeName> for Shape {
    fn from(name: ShapeName) -> Self {
        match name {
            ShapeName::AnthropicToolReference => Self::AnthropicToolReference,
            ShapeName::AnthropicTool => Self::AnthropicTool,
            ShapeName::OpenaiFunction => Self::OpenaiFunction,
            ShapeName::McpTool => Self::McpTool,
        }
    }
}
