//! Types that describe dashboards: panels with their queries, units and thresholds.

/// Dashboard: a page of panels.
pub(crate) struct Dashboard {
    /// Name of its file and, after `toolweaver-`, of its address.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) sections: Vec<Section>,
}

/// Section: panels of one height under a title.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) height: u64,
    pub(crate) panels: Vec<Panel>,
}

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// Description: the meaning of the values, which of them are good, and the action where they are not.
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    /// Width in the 24 columns of a dashboard.
    pub(crate) width: u64,
    pub(crate) queries: Vec<Query>,
    /// Thresholds: yellow and red from these values on.
    pub(crate) limits: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One large number.
    Number,
    /// Curves over time.
    Lines,
    /// Stacked curves: shares of a whole.
    Stack,
    /// Distribution of latencies over time.
    Heatmap,
    /// State of each breaker over time; 0 is good, 1 is between, 2 is bad.
    States,
    /// Table with one row a process and one column a query; a legend is the name of its column.
    Processes,
    /// Table of the alerts that fire now.
    Alerts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Plain numbers.
    Count,
    PerSecond,
    Seconds,
    Bytes,
    /// 0 to 1, shown as percent.
    Share,
    /// 1 or 0, in a table.
    YesNo,
}

pub(crate) struct Query {
    /// PromQL; `$of` stands for the labels that the variables of the dashboard choose.
    pub(crate) promql: &'static str,
    /// Legend of a curve: words, and labels as `{{label}}`.
    pub(crate) legend: &'static str,
    /// Unit of a table's column; other queries have the panel's.
    pub(crate) unit: Option<Unit>,
}

pub(crate) fn panel(kind: Kind, unit: Unit, title: &'static str, about: &'static str) -> Panel {
    let width = if kind == Kind::Number { 3 } else { 8 };
    Panel { title, about, kind, unit, width, queries: Vec::new(), limits: None }
}

pub(crate) fn number(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Number, unit, title, about)
}

pub(crate) fn lines(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Lines, unit, title, about)
}

pub(crate) fn stack(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Stack, unit, title, about)
}

impl Panel {
    pub(crate) fn wide(mut self, width: u64) -> Self {
        self.width = width;
        self
    }

    pub(crate) fn query(mut self, legend: &'static str, promql: &'static str) -> Self {
        self.queries.push(Query { promql, legend, unit: None });
        self
    }

    /// Adds a column of a table.
    pub(crate) fn column(mut self, legend: &'static str, unit: Unit, promql: &'static str) -> Self {
        self.queries.push(Query { promql, legend, unit: Some(unit) });
        self
    }

    /// Sets the thresholds: yellow and red from these values on; where yellow is above red, from these values
    /// down.
    pub(crate) fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Some((yellow, red));
        self
    }
}

impl Query {
    /// Returns the expression for Grafana, in one line.
    pub(crate) fn expression(&self) -> String {
        let words: Vec<&str> = self.promql.split_whitespace().collect();
        words.join(" ").replace("$of", r#"namespace=~"$namespace",job=~"$job",instance=~"$instance""#)
    }
}
