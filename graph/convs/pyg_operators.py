"""The stock operators of PyTorch Geometric that fit a complete graph with edge features.

Left out: operators for node or edge types (`RGATConv`, `HEATConv`), for positions (`PointNetConv`,
`GMMConv`), with weights per degree (`MFConv`), with extra losses or inputs (`SuperGATConv`,
`FAConv`), for several hops (`TAGConv`, `ChebConv`; a complete graph has one), and `NNConv`, which
needs a weight matrix per edge.
"""

# Name of the layer → class in `torch_geometric.nn`, which is imported when one is built.
OPERATORS = {
    "cg": "CGConv",
    "film": "FiLMConv",
    "gat": "GATConv",
    "gatv2": "GATv2Conv",
    "gcn": "GCNConv",
    "gen": "GENConv",
    "general": "GeneralConv",
    "gine": "GINEConv",
    "graph": "GraphConv",
    "pdn": "PDNConv",
    "pna": "PNAConv",
    "res_gated": "ResGatedGraphConv",
    "sage": "SAGEConv",
    "transformer": "TransformerConv",
}
